"""Noise learned while training: type-II maximum likelihood, histories, checkpoints, posteriors."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from torch import Tensor, nn

from relaxeq.curvature import Subset
from relaxeq.errors import EvidenceWarning
from relaxeq.evidence import LBFGS, Adam, MacKay, Update
from relaxeq.likelihoods import Gaussian, LearnedGaussian
from relaxeq.recipe import FitResult, Options, fit, posterior

pytestmark = pytest.mark.usefixtures("float64")
COUNT = 25
Make = Callable[..., Options]


def regression() -> tuple[Tensor, Tensor]:
    x = torch.randn(COUNT, 3)
    x = x - x.mean(0)
    return x, x @ torch.randn(3, 2) + 2.0 + 0.7 * torch.randn(COUNT, 2)


def best(x: Tensor, y: Tensor) -> tuple[float, float, float]:
    """σ, α of the weight and α of the bias that maximise log p(y|x), without gradients."""

    def value(logs: np.ndarray) -> float:
        noise, weight, bias = np.exp(logs)
        cover = noise**2 * np.eye(COUNT) + x.numpy() @ x.numpy().T / weight + 1 / bias
        normal = multivariate_normal(np.zeros(COUNT), cover)
        return -sum(float(normal.logpdf(column)) for column in y.numpy().T)

    options = {"xatol": 1e-7, "fatol": 1e-11, "maxiter": 4000}
    found = minimize(value, np.zeros(3), method="Nelder-Mead", options=options)
    noise, weight, bias = np.exp(found.x)
    return float(noise), float(weight), float(bias)


@pytest.mark.parametrize("update", [MacKay(), Adam(lr=0.3), LBFGS()])
def test_noise_and_priors_learn_what_type_ii_maximum_likelihood_says(
    update: Update, options: Make
) -> None:
    x, y = regression()
    settings = options(
        update=update, update_every=1, lr=0.5, fisher="exact", likelihood=LearnedGaussian(3.0)
    )
    result = fit(nn.Linear(3, 2), [(x, y)], epochs=150, options=settings)
    noise, weight, bias = best(x, y)
    assert isinstance(result.likelihood, LearnedGaussian)
    assert result.likelihood.noise == pytest.approx(noise, rel=2e-3)
    assert result.prior("weight").precision == pytest.approx(weight, rel=1e-2)
    assert result.prior("bias").precision == pytest.approx(bias, rel=1e-2)
    assert result.history[-1]["noise"] == result.likelihood.noise
    again = posterior(result, [(x, y)])
    outputs, cover = again.covariance(x[:1])
    hessian = x.mT @ x / result.likelihood.noise**2 + result.prior("weight").precision * torch.eye(
        3
    )
    bias_part = COUNT / result.likelihood.noise**2 + result.prior("bias").precision
    expected = float(x[0] @ torch.linalg.solve(hessian, x[0])) + 1 / bias_part
    torch.testing.assert_close(cover[0], expected * torch.eye(2))


def small(unit: float) -> tuple[nn.Linear, list[tuple[Tensor, Tensor]]]:
    """Targets of this size in single precision, and weights that are 0."""
    x, y = torch.randn(400, 3).float(), unit * torch.randn(400, 1).float()
    net = nn.Linear(3, 1).float()
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    return net, list(zip(x.split(200), y.split(200), strict=True))


@pytest.mark.parametrize("curvature", ["kfac", Subset(400)], ids=str)
def test_targets_far_below_the_first_noise_have_a_noise_all_the_same(
    curvature: str | Subset, options: Make
) -> None:
    """R/σ² is 1e-8 of log p, which single precision would round away."""
    net, loader = small(1e-4)
    settings = options(
        likelihood=LearnedGaussian(1.0), curvature=curvature, lr=0.01, burn_in=0, update_every=50
    )
    result = fit(net, loader, epochs=50, options=settings)
    squares = [(net(x) - y).detach().square().mean() for x, y in loader]
    assert isinstance(result.likelihood, LearnedGaussian)
    assert result.likelihood.noise == pytest.approx(float(sum(squares) / 2) ** 0.5, rel=0.02)
    assert result.evidence == pytest.approx(7.8, abs=0.2)


def test_targets_that_are_fitted_exactly_have_the_noise_that_rounding_leaves(options: Make) -> None:
    """And a warning; every update says more, down to the least noise there is."""
    net, loader = small(0.0)
    settings = options(likelihood=LearnedGaussian(1.0), burn_in=0, update_every=1)
    with pytest.warns(EvidenceWarning, match="rounding hides .*write Gaussian"):
        result = fit(net, loader, epochs=4, options=settings)
    noises = [row["noise"] for row in result.history]
    assert 1e-8 < noises[0] < 1e-7
    assert noises[1:] == [pytest.approx(1e-8)] * 3
    assert math.isfinite(result.evidence)


def test_map_keeps_the_noise(options: Make) -> None:
    x, y = regression()
    settings = options(likelihood=LearnedGaussian(0.9))
    result = fit(nn.Linear(3, 2), [(x, y)], epochs=6, objective="map", options=settings)
    assert result.likelihood == LearnedGaussian(0.9)
    fixed = options(likelihood=Gaussian(0.9))
    torch.manual_seed(1)
    one = fit(nn.Linear(3, 2), [(x, y)], epochs=6, objective="map", options=fixed)
    torch.manual_seed(1)
    two = fit(nn.Linear(3, 2), [(x, y)], epochs=6, objective="map", options=settings)
    assert one.evidence == two.evidence


class Stopped(Exception):
    """The run ends here."""


class Mortal:
    def __init__(self, batch: tuple[Tensor, Tensor], passes: int) -> None:
        self.batch, self.passes = batch, passes

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.passes -= 1
        if not self.passes:
            raise Stopped
        return iter([self.batch])


def test_a_run_that_was_stopped_continues_with_its_noise(options: Make, tmp_path: Path) -> None:
    batch = regression()
    settings = options(likelihood=LearnedGaussian(2.0))

    def run(passes: int, folder: Path | None) -> FitResult:
        torch.manual_seed(1)
        net = nn.Linear(3, 2)
        loader = Mortal(batch, passes)
        return fit(net, loader, epochs=8, options=settings, run_dir=folder)

    whole = run(10**6, None)
    with pytest.raises(Stopped):
        run(9, tmp_path)
    resumed = run(10**6, tmp_path)
    assert resumed.likelihood == whole.likelihood
    assert resumed.evidence == whole.evidence
    assert math.isfinite(whole.evidence)
