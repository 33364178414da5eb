"""Updates of precisions against torch's Adam, a grid search and the fixed-point equation."""

import math

import pytest
import torch

from relaxeq.errors import NumericsError, SpecError
from relaxeq.evidence import LBFGS, Adam, MacKay, Term, bounded
from relaxeq.evidence.updates import HIGHEST, LOWEST

pytestmark = pytest.mark.usefixtures("float64")


def term(scale=1.0, norm=2.0, size=8):
    values = torch.linspace(0, 1, size).square() * 30 * scale
    return Term(values, norm)


def test_mackay_reaches_its_fixed_point():
    """α‖θ‖² = γ, where the gradient vanishes, and no α on a fine grid is better."""
    for found_term in (term(), term(100.0), term(norm=0.3)):
        precision = MacKay(damping=1.0, steps=400).step({"a": found_term}, {"a": 5.0}, {})[0]["a"]
        gamma = found_term.effective_parameters(precision)
        assert precision * found_term.squared_norm == pytest.approx(gamma, rel=1e-10)
        assert found_term.gradient(precision) == pytest.approx(0.0, abs=1e-9)
        best = max(found_term.log_evidence(10 ** (k / 20)) for k in range(-100, 101))
        assert found_term.log_evidence(precision) >= best - 1e-12


@pytest.mark.parametrize("damping", [1.0, 0.5, 0.1])
def test_mackay_steps_are_damped_in_log_space(damping):
    """log α ← (1−d) log α + d log(γ/‖θ‖²), step by step."""
    found_term, alpha = term(), 5.0
    values = found_term.eigenvalues
    for _ in range(3):
        gamma = float((values / (values + alpha)).sum())
        alpha = math.exp((1 - damping) * math.log(alpha) + damping * math.log(gamma / 2.0))
    found = MacKay(damping, steps=3).step({"a": found_term}, {"a": 5.0}, {})[0]["a"]
    assert found == pytest.approx(alpha, rel=1e-12)


def test_mackay_climbs():
    found_term, alpha = term(), 1e-4
    levels = []
    for _ in range(20):
        levels.append(found_term.log_evidence(alpha))
        alpha = MacKay(steps=1).step({"a": found_term}, {"a": alpha}, {})[0]["a"]
    assert levels == sorted(levels)
    assert levels[-1] > levels[0] + 1


@pytest.mark.parametrize("rate", [1.0, 0.25])
@pytest.mark.parametrize("steps", [1, 3])
def test_adam_is_torchs_adam_on_log_precisions(steps, rate):
    """Ascent on ½[P log α − α‖θ‖² − Σ log(λ+α)], two groups at once, moments carried along."""
    terms = {"a": term(), "b": term(50.0, norm=0.1, size=5)}
    precisions, moments = {"a": 5.0, "b": 0.2}, {}
    logs = [torch.tensor(math.log(v), requires_grad=True) for v in precisions.values()]
    optimizer = torch.optim.Adam(logs, lr=0.3 * rate, maximize=True)
    update = Adam(lr=0.3, steps=steps)
    for _ in range(12):
        precisions, moments = update.step(terms, precisions, moments, rate)
        for _ in range(steps):
            optimizer.zero_grad()
            sum(dense(log, terms[key]) for log, key in zip(logs, terms, strict=True)).backward()
            optimizer.step()
        for log, key in zip(logs, terms, strict=True):
            assert precisions[key] == pytest.approx(math.exp(float(log.detach())), rel=1e-9)


def dense(log, found_term):
    alpha = log.exp()
    determinant = (found_term.eigenvalues + alpha).log().sum()
    return 0.5 * (found_term.size * log - alpha * found_term.squared_norm - determinant)


def test_adam_reaches_mackays_fixed_point():
    terms = {"a": term()}
    fixed = MacKay(damping=1.0, steps=400).step(terms, {"a": 1.0}, {})[0]["a"]
    precisions, moments = {"a": 1.0}, {}
    for k in range(600):
        precisions, moments = Adam(lr=0.1).step(terms, precisions, moments, 1 - k / 600)
    assert precisions["a"] == pytest.approx(fixed, rel=1e-3)


def test_lbfgs_reaches_mackays_fixed_point_at_once_or_damped():
    terms = {"a": term(), "b": term(100.0, 0.3)}
    start = {"a": 1.0, "b": 40.0}
    fixed = MacKay(damping=1.0, steps=400).step(terms, start, {})[0]
    found = LBFGS(damping=1.0).step(terms, start, {})[0]
    half = LBFGS(damping=0.5).step(terms, start, {})[0]
    for name in terms:
        assert found[name] == pytest.approx(fixed[name], rel=1e-3)
        assert half[name] == pytest.approx(math.sqrt(start[name] * found[name]), rel=1e-9)


UPDATES = [
    MacKay(),
    MacKay(damping=1.0, steps=1),
    Adam(),
    Adam(lr=1.0, steps=5),
    Adam(lr=1e4),
    LBFGS(),
    LBFGS(damping=1.0),
]


@pytest.mark.parametrize("update", UPDATES, ids=str)
def test_paths_that_are_off_stay_off(update):
    terms = {"on": term(), "off": Term(torch.ones(3), 0.0)}
    given = {"on": 1.0, "off": math.inf}
    found, _ = update.step(terms, given, {})
    assert found["off"] == math.inf
    assert found["on"] != 1.0


@pytest.mark.parametrize("update", UPDATES, ids=str)
def test_steps_leave_their_arguments_alone(update):
    precisions, moments = {"a": 1.0, "unused": 3.0}, {"a": (0.1, 0.2, 3)}
    found, kept = update.step({"a": term()}, precisions, moments)
    assert precisions == {"a": 1.0, "unused": 3.0}
    assert moments == {"a": (0.1, 0.2, 3)}
    assert found["unused"] == 3.0
    assert kept is not moments or kept == {"a": (0.1, 0.2, 3)}


@pytest.mark.parametrize("update", UPDATES, ids=str)
@pytest.mark.parametrize(
    "extreme",
    [
        Term(torch.zeros(3), 0.0),  # no data, no weights
        Term(torch.zeros(3), 1.0),
        Term(torch.ones(3), 0.0),
        Term(torch.full((3,), 1e12), 1e-14),
        Term(torch.ones(3) * 1e-14, 1e12),
    ],
)
def test_precisions_stay_inside_their_bounds(update, extreme):
    for start in (LOWEST, 1.0, HIGHEST):
        precisions, moments = {"a": start}, {}
        for _ in range(60):
            precisions, moments = update.step({"a": extreme}, precisions, moments)
            assert LOWEST <= precisions["a"] <= HIGHEST


def test_mackay_sends_undetermined_precisions_to_the_bound():
    precisions = {"zero norm": 1.0, "no curvature": 1.0}
    terms = {"zero norm": Term(torch.ones(3), 0.0), "no curvature": Term(torch.zeros(3), 1.0)}
    found = MacKay(steps=200).step(terms, precisions, {})[0]
    assert all(value == pytest.approx(HIGHEST) for value in found.values())


def test_bounded():
    assert bounded(1e-30) == LOWEST
    assert bounded(1e30) == HIGHEST
    assert bounded(math.inf) == math.inf
    assert bounded(0.7) == 0.7


BAD_OPTIONS = {
    "no damping": (lambda: MacKay(damping=0.0), r"damping must be in \(0, 1\]"),
    "too much damping": (lambda: MacKay(damping=1.5), "MacKay.damping=1.5"),
    "no steps": (lambda: MacKay(steps=0), "steps a whole number, at least 1"),
    "half a step": (lambda: MacKay(steps=1.5), r"MacKay\(damping=0.5, steps=1.5\).*whole number"),
    "no rate": (lambda: Adam(lr=0.0), r"Adam\(lr=0.0, steps=1, .*: lr must be positive"),
    "no end": (lambda: Adam(lr=math.inf), r"Adam\(lr=inf, .*: lr must be positive and finite"),
    "no Adam steps": (lambda: Adam(steps=0), "steps a whole number, at least 1"),
    "half an Adam step": (lambda: Adam(steps=0.5), r"Adam\(lr=0.1, steps=0.5.*whole number"),
    "no decay": (lambda: Adam(betas=(1.0, 1.0)), r"betas=\(1.0, 1.0\)\): .*betas in \[0, 1\)"),
    "half an iteration": (lambda: LBFGS(iterations=2.5), "iterations a whole number, at least 1"),
}


@pytest.mark.parametrize("name", BAD_OPTIONS)
@pytest.mark.usefixtures("unchecked")
def test_bad_options(name):
    build, message = BAD_OPTIONS[name]
    with pytest.raises(SpecError, match=message):
        build()


@pytest.mark.parametrize("update", [MacKay(), Adam(), LBFGS()], ids=str)
def test_bad_terms_and_precisions(update):
    with pytest.raises(SpecError, match="precisions lacks 'a'"):
        update.step({"a": term()}, {}, {})
    with pytest.raises(NumericsError, match=r"terms\['a'\].*not finite"):
        update.step({"a": Term(torch.ones(2), math.nan)}, {"a": 1.0}, {})
