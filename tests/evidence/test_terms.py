"""The evidence of one prior against dense determinants, finite differences and limits."""

import math

import pytest
import torch

from relaxeq.errors import NumericsError, SpecError
from relaxeq.evidence import Term, log_marginal_likelihood

pytestmark = pytest.mark.usefixtures("float64")

ALPHAS = [1e-6, 0.03, 1.0, 17.0, 1e5]
RANKS = [0, 1, 3, 6]


def problem(rank, size=6):
    """J of this many rows (the curvature is JᵀJ), weights, and what the evidence sees of them.

    Eigenvalues are those of JJᵀ and exact zeros: from JᵀJ the zeros come out as round-off, which
    a small α does not hide.
    """
    rows = torch.randn(rank, size)
    weights = torch.randn(size)
    values = torch.cat([torch.zeros(size - rank), torch.linalg.eigvalsh(rows @ rows.T)])
    return rows, weights, Term(values, float(weights @ weights))


def log_determinant(rows, alpha):
    """log det(JᵀJ + α) by the matrix determinant lemma, as accurate where α is small."""
    rank, size = rows.shape
    inner = rows @ rows.T + alpha * torch.eye(rank)
    return (size - rank) * math.log(alpha) + float(torch.linalg.slogdet(inner).logabsdet)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("rank", RANKS)
def test_log_evidence_is_prior_minus_half_log_determinant(rank, alpha):
    rows, weights, term = problem(rank)
    determinant = log_determinant(rows, alpha)
    prior = torch.distributions.MultivariateNormal(torch.zeros(6), torch.eye(6) / alpha)
    laplace = 0.5 * 6 * math.log(2 * math.pi) - 0.5 * determinant
    truth = float(prior.log_prob(weights) + laplace)
    assert term.log_evidence(alpha) == pytest.approx(truth, rel=1e-10, abs=1e-10)
    written = 0.5 * (6 * math.log(alpha) - alpha * float(weights @ weights) - determinant)
    assert term.log_evidence(alpha) == pytest.approx(written, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("rank", RANKS)
def test_effective_parameters(rank, alpha):
    """γ = P − α tr (H + α)⁻¹ (App. D.2)."""
    rows, _, term = problem(rank)
    inverse = torch.linalg.inv(rows.T @ rows + alpha * torch.eye(6))
    gamma = term.effective_parameters(alpha)
    assert gamma == pytest.approx(6 - alpha * float(inverse.trace()), abs=1e-8)
    assert 0 <= gamma <= rank + 1e-12
    assert term.size == 6


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("rank", RANKS)
def test_gradient_by_finite_differences_in_log_alpha(rank, alpha):
    _, _, term = problem(rank)
    step = 1e-5
    above, below = (term.log_evidence(alpha * math.exp(s)) for s in (step, -step))
    truth = (above - below) / (2 * step)
    assert term.gradient(alpha) == pytest.approx(truth, rel=1e-6, abs=1e-6)


def test_paths_that_are_off():
    """α = ∞: parameters are 0 and the term vanishes, as the limit of large α does."""
    _, _, term = problem(3)
    silent = Term(term.eigenvalues, 0.0)
    assert silent.log_evidence(math.inf) == 0.0
    assert silent.log_evidence(1e13) == pytest.approx(0.0, abs=1e-10)
    assert term.log_evidence(math.inf) == -math.inf  # weights that the prior forbids
    assert silent.effective_parameters(math.inf) == 0.0
    assert silent.gradient(math.inf) == 0.0
    terms = {"on": term, "off": silent}
    alone = log_marginal_likelihood(-5.0, {"on": term}, {"on": 2.0})
    assert log_marginal_likelihood(-5.0, terms, {"on": 2.0, "off": math.inf}) == alone


def test_terms_add_up():
    first, second = problem(2)[2], problem(5)[2]
    total = log_marginal_likelihood(-7.5, {"a": first, "b": second}, {"a": 0.3, "b": 40.0})
    assert total == pytest.approx(-7.5 + first.log_evidence(0.3) + second.log_evidence(40.0))
    assert log_marginal_likelihood(-7.5, {}, {}) == -7.5


def test_evidence_is_stable_where_eigenvalues_are_tiny():
    """log(1 + λ/α), not log(λ+α) − log α: 10⁶ parameters of λ/α = 1e-17 weigh 5e-12 nats."""
    term = Term(torch.full((1_000_000,), 1e-12), 0.0)
    assert term.log_evidence(1e5) == pytest.approx(-5e-12, rel=1e-6)


PRECISIONS = {
    "missing": ({}, r"precisions lacks 'a': give one prior precision per term"),
    "zero": (
        {"a": 0.0},
        r"precisions\['a'\]=0.0 must be positive: it is a prior precision, math.inf",
    ),
    "negative": ({"a": -2.0}, r"precisions\['a'\]=-2.0 must be positive"),
    "NaN": ({"a": math.nan}, r"precisions\['a'\]=nan must be positive"),
}


@pytest.mark.parametrize("name", PRECISIONS)
def test_bad_precisions(name):
    given, message = PRECISIONS[name]
    with pytest.raises(SpecError, match=message):
        log_marginal_likelihood(0.0, {"a": problem(2)[2]}, given)


@pytest.mark.parametrize("method", ["effective_parameters", "log_evidence", "gradient"])
@pytest.mark.parametrize("bad", [-3.0, 0.0, -math.inf, math.nan])
def test_one_term_takes_no_bad_precision_either(bad, method):
    with pytest.raises(
        SpecError, match=f"precision={bad} must be positive: it is a prior precision, math.inf"
    ):
        getattr(problem(2)[2], method)(bad)


@pytest.mark.parametrize(("values", "norm"), [([1.0, -2.0], 1.0), ([-1e-9], 1.0), ([], -1.0)])
def test_curvature_and_norms_are_not_negative(values, norm):
    below = sum(value < 0 for value in values)
    with pytest.raises(SpecError, match=rf"squared_norm={norm}\) has {below} eigenvalues below 0"):
        Term(torch.tensor(values), norm)


@pytest.mark.parametrize(
    "term",
    [
        Term(torch.tensor([1.0, math.nan]), 1.0),
        Term(torch.tensor([1.0, math.inf]), 1.0),
        Term(torch.tensor([1.0, 2.0]), math.nan),
        Term(torch.tensor([1.0, 2.0]), math.inf),
    ],
)
def test_terms_that_are_not_finite_are_named(term):
    with pytest.raises(NumericsError, match=r"terms\['layer'\].*not finite.*diverged"):
        log_marginal_likelihood(0.0, {"layer": term}, {"layer": 1.0})
