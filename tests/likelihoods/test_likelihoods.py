"""Likelihoods against torch.distributions, Hessians by autograd, and frequencies of draws."""

import math

import pytest
import torch
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Categorical as TorchCategorical
from torch.distributions import Normal
from torch.distributions import Poisson as TorchPoisson

from relaxeq.errors import DataError, SpecError
from relaxeq.likelihoods import (
    Bernoulli,
    Categorical,
    Gaussian,
    LearnedGaussian,
    Poisson,
    likelihood_from,
)

pytestmark = pytest.mark.usefixtures("float64")

LIKELIHOODS = {
    "two classes": (Categorical(), 2),
    "five classes": (Categorical(), 5),
    "unit noise": (Gaussian(), 3),
    "noise 0.2": (Gaussian(0.2), 1),
    "noise 30": (Gaussian(30.0), 2),
    "noise learned": (LearnedGaussian(0.4), 2),
    "binary": (Bernoulli(), 3),
    "counts": (Poisson(), 2),
}


def targets(likelihood, count, out):
    if isinstance(likelihood, Categorical):
        return torch.arange(count) % out
    if isinstance(likelihood, Bernoulli | Poisson):
        return torch.arange(count * out).view(count, out).to(torch.float64) % 2
    return torch.randn(count, out)


def log_probability(likelihood, f, y):
    if isinstance(likelihood, Categorical):
        return TorchCategorical(logits=f).log_prob(y).sum()
    if isinstance(likelihood, Bernoulli):
        return TorchBernoulli(logits=f).log_prob(y).sum()
    if isinstance(likelihood, Poisson):
        return TorchPoisson(f.exp()).log_prob(y).sum()
    return Normal(f, likelihood.noise).log_prob(y).sum()


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_log_likelihood_is_the_sum_over_data(name):
    likelihood, out = LIKELIHOODS[name]
    f, y = 3 * torch.randn(6, out), targets(likelihood, 6, out)
    truth = log_probability(likelihood, f, y)
    torch.testing.assert_close(likelihood.log_likelihood(f, y), truth)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_hessian_root(name):
    """Σ_k r_k r_kᵀ = −∂² log p/∂f∂fᵀ of every datum, whatever its target."""
    likelihood, out = LIKELIHOODS[name]
    f, y = 3 * torch.randn(4, out), targets(likelihood, 4, out)
    roots = likelihood.hessian_root(f)
    assert roots.shape[:2] == (4, out)
    for n in range(4):
        truth = torch.autograd.functional.hessian(
            lambda one, n=n: -log_probability(likelihood, one, y[n : n + 1]), f[n : n + 1]
        )
        torch.testing.assert_close(roots[n] @ roots[n].T, truth[0, :, 0, :])


def test_hessian_root_of_certain_outputs():
    """Saturated logits: a zero Hessian of K−1 columns, not NaN."""
    roots = Categorical().hessian_root(torch.tensor([[1000.0, 0.0, -1000.0]]))
    torch.testing.assert_close(roots, torch.zeros(1, 3, 2))


def test_sampled_roots_of_classes():
    """Every draw is ∂ log p(ŷ|f)/∂f of some class ŷ, drawn as often as the model says."""
    f = torch.tensor([[0.5, -1.0, 1.5]]).expand(20_000, -1)
    roots = Categorical().sampled_root(f, torch.Generator().manual_seed(0))
    assert roots.shape == (20_000, 3, 1)
    p = f[0].softmax(0)
    drawn = (roots[:, :, 0] + p).round()
    torch.testing.assert_close(roots[:, :, 0], drawn - p)
    assert (drawn.sum(1) == 1).all()
    torch.testing.assert_close(drawn.mean(0), p, atol=0.01, rtol=0)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_sampled_roots_are_unbiased(name):
    likelihood, out = LIKELIHOODS[name]
    f = torch.linspace(-1, 1, out)[None].expand(40_000, -1)
    r = likelihood.sampled_root(f, torch.Generator().manual_seed(0))[:, :, 0]
    exact = likelihood.hessian_root(f[:1])[0]
    exact = exact @ exact.T
    torch.testing.assert_close(r.T @ r / len(r), exact, atol=0.03 * float(exact.max()), rtol=0)
    assert r.mean(0).abs().max() < 0.03 * float(exact.max()) ** 0.5


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_data_draw_independently_and_generators_repeat(name):
    likelihood, out = LIKELIHOODS[name]
    f = torch.zeros(50, out)
    draws = [likelihood.sampled_root(f, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert len(draws[0].flatten(1).unique(dim=0)) > 1


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_follows_the_outputs(name, dtype):
    likelihood, out = LIKELIHOODS[name]
    f = torch.randn(3, out, dtype=dtype)
    assert likelihood.hessian_root(f).dtype == dtype
    assert likelihood.sampled_root(f, None).dtype == dtype


F = torch.zeros(3, 4)
CHECKS = {
    "floats": (Categorical(), torch.zeros(3), r"int64 of shape \(3,\), got torch.float32"),
    "columns": (
        Categorical(),
        torch.zeros(3, 1).long(),
        r"of shape \(3, 1\): write y\[:, 0\]\.long",
    ),
    "too few": (Categorical(), torch.zeros(2).long(), r"shape \(3,\), got"),
    "high": (Categorical(), torch.tensor([0, 7, 1]), r"from 0 to 7, but .* 4 outputs.*classes=8\."),
    "low": (Categorical(), torch.tensor([0, -1, 1]), r"from -1 to 1.*0\.\.3; relabel them\."),
    "shape": (Gaussian(), torch.zeros(3), r"floats of shape \(3, 4\), got"),
    "integers": (Gaussian(), torch.zeros(3, 4).long(), "torch.int64"),
    "NaN": (Gaussian(), torch.full((3, 4), math.nan), "targets hold NaN or infinity"),
    "infinity": (Gaussian(), torch.full((3, 4), -math.inf), "targets hold NaN or infinity"),
}


@pytest.mark.parametrize("name", CHECKS)
def test_targets_that_do_not_fit(name):
    likelihood, y, message = CHECKS[name]
    with pytest.raises(DataError, match=message):
        likelihood.check(F, y)


def test_targets_that_fit():
    Categorical().check(F, torch.tensor([0, 3, 1]))
    Gaussian().check(F, torch.randn(3, 4))


@pytest.mark.parametrize("noise", [0.0, -1.0, math.nan, math.inf])
def test_noise_must_be_positive(noise):
    for kind in (Gaussian, LearnedGaussian):
        with pytest.raises(SpecError, match=f"noise={noise} of a Gaussian likelihood"):
            kind(noise)


def test_names():
    assert likelihood_from("classification") == Categorical()
    assert likelihood_from("regression") == Gaussian(1.0)
    assert likelihood_from("binary") == Bernoulli()
    assert likelihood_from("counts") == Poisson()
    assert likelihood_from(Gaussian(0.1)) == Gaussian(0.1) != Gaussian(0.2)
    assert len({Gaussian(0.1), Gaussian(0.1), Categorical()}) == 2
    with pytest.raises(SpecError, match="'poisson' is not one of"):
        likelihood_from("poisson")


@pytest.mark.parametrize(
    ("likelihood", "bad", "message"),
    [
        (Bernoulli(), torch.full((3, 2), 0.5), "must be 0 or 1"),
        (Bernoulli(), torch.zeros(3, 2, dtype=torch.long), "must be floats of shape"),
        (Poisson(), torch.full((3, 2), 1.5), "must be counts"),
        (Poisson(), -torch.ones(3, 2), "must be counts"),
        (Poisson(), torch.full((3, 2), torch.inf), "NaN or infinity"),
    ],
)
def test_targets_of_binary_and_count_likelihoods(likelihood, bad, message):
    with pytest.raises(DataError, match=message):
        likelihood.check(torch.zeros(3, 2), bad)
