"""Posterior predictions and calibration against quadrature and hand computation."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from relaxeq.curvature import Posterior, kfac
from relaxeq.errors import DataError, NumericsError, SpecError
from relaxeq.likelihoods import LearnedGaussian, likelihood_from
from relaxeq.recipe import (
    NormalCalibration,
    Options,
    calibration,
    fit,
    held_out,
    normal_calibration,
    posterior,
    predict,
    predict_normal,
)


def data(count=60):
    x = torch.randn(count, 2)
    return x, (x[:, 0] + 0.5 * torch.randn(count) > 0).long()


@pytest.fixture
def fitted():
    loader = [data()]
    options = Options(lr=0.05, burn_in=5, update_every=5)
    result = fit(nn.Linear(2, 2), loader, None, 30, options=options)
    return posterior(result, loader)


def test_linearised_prediction_equals_quadrature_of_the_logit_difference(fitted):
    x = torch.randn(5, 2)
    outputs, covariance = fitted.covariance(x)
    found = predict(fitted, x, "linearised", samples=40_000)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    for n in range(len(x)):
        mean = float(outputs[n, 1] - outputs[n, 0])
        contrast = torch.tensor([-1.0, 1.0])
        spread = float(contrast @ covariance[n] @ contrast) ** 0.5
        probabilities = 1 / (1 + np.exp(-(mean + spread * nodes)))
        assert found[n, 1] == pytest.approx(probabilities @ weights / weights.sum(), abs=5e-3)


def test_for_a_linear_model_sampled_and_linearised_predictions_agree(fitted):
    x = torch.randn(5, 2)
    sampled = predict(fitted, x, "sampled", samples=4000)
    assert torch.allclose(sampled, predict(fitted, x, samples=20_000), atol=0.02)


def test_predictions_average_over_doubt(fitted):
    far = torch.tensor([[0.0, 40.0]])
    assert predict(fitted, far, samples=2000).max() < predict(fitted, far, "map").max()


def test_calibration_by_hand():
    probabilities = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.35, 0.65], [0.3, 0.7]])
    targets = torch.tensor([0, 1, 1, 1])
    found = calibration(probabilities, targets, bins=2)
    assert found.accuracy == 0.75
    assert found.nll == pytest.approx(-np.log([0.9, 0.2, 0.65, 0.7]).mean(), rel=1e-6)
    assert found.ece == pytest.approx(abs(3 - (0.9 + 0.8 + 0.65 + 0.7)) / 4, rel=1e-6)


def test_held_out_agrees_with_calibration_of_predictions(fitted):
    x, y = data(20)
    found = held_out(fitted, [(x[:8], y[:8]), (x[8:], y[8:])], "map")
    assert found == calibration(predict(fitted, x, "map"), y)


def bernoulli(count=60):
    x, y = data(count)
    return x, torch.stack([y, 1 - y], 1).float()


@pytest.mark.parametrize(
    ("likelihood", "task", "mean"),
    [
        ("binary", bernoulli, torch.sigmoid),
        ("counts", lambda: (data()[0], torch.poisson(torch.ones(60, 2))), torch.exp),
    ],
)
def test_other_likelihoods_average_their_means(likelihood, task, mean):
    """By quadrature over each logit's marginal normal."""
    loader = [task()]
    options = Options(lr=0.05, burn_in=5, update_every=5, likelihood=likelihood, progress=False)
    found = posterior(fit(nn.Linear(2, 2), loader, None, 30, options=options), loader)
    x = torch.randn(4, 2)
    outputs, covariance = found.covariance(x)
    spread = covariance.diagonal(dim1=1, dim2=2).sqrt()
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    values = mean(outputs[..., None] + spread[..., None] * torch.tensor(nodes))
    truth = (values @ torch.tensor(weights / weights.sum())).float()
    assert torch.allclose(predict(found, x, samples=40_000), truth, rtol=0.02)
    assert torch.allclose(predict(found, x, "map"), mean(outputs))
    with pytest.raises(SpecError, match="has no normal predictive"):
        held_out(found, loader)


def regression(count=40):
    x = torch.randn(count, 3, dtype=torch.float64)
    slope = torch.tensor([[1.0, 0.0], [-2.0, 0.5], [0.0, 1.0]], dtype=torch.float64)
    return x, x @ slope + 0.5 * torch.randn(count, 2, dtype=torch.float64)


@pytest.fixture
def line():
    batch = regression()
    options = Options(
        lr=0.1, burn_in=5, update_every=1, likelihood=LearnedGaussian(), progress=False
    )
    net = nn.Linear(3, 2, bias=False).double()
    result = fit(net, [batch], None, 200, options=options)
    return result, posterior(result, [batch]), batch


def test_normal_predictions_are_those_of_bayesian_linear_regression(line):
    """Mean x·m and variance x·(XᵀX/σ² + α)⁻¹·x + σ², at the learned α and σ."""
    result, found, (inputs, targets) = line
    sigma, alpha = result.likelihood.noise, result.prior("weight").precision
    precision = inputs.mT @ inputs / sigma**2 + alpha * torch.eye(3)
    x = torch.randn(6, 3, dtype=torch.float64)
    mean = x @ torch.linalg.solve(precision, inputs.mT @ targets / sigma**2)
    std = ((x @ torch.linalg.inv(precision)) * x).sum(1).add(sigma**2).sqrt()[:, None]
    exact = predict_normal(found, x)
    torch.testing.assert_close(exact[0], mean, atol=2e-3, rtol=1e-3)
    torch.testing.assert_close(exact[1], std.expand(-1, 2), atol=1e-6, rtol=1e-6)
    assert torch.equal(predict(found, x), exact[0])
    drawn = predict_normal(found, x, "sampled", samples=3000)
    torch.testing.assert_close(drawn[0], exact[0], atol=0.03, rtol=0.03)
    torch.testing.assert_close(drawn[1], exact[1], atol=0.03, rtol=0.03)
    flat = predict_normal(found, x, "map")
    torch.testing.assert_close(flat[1], torch.full_like(flat[1], sigma))


def test_held_out_regression_beats_map_where_data_are_few(line):
    _, found, _ = line
    x, y = regression(400)
    loader = [(x[:300], y[:300]), (x[300:], y[300:])]
    learned, flat = held_out(found, loader), held_out(found, loader, "map")
    assert isinstance(learned, NormalCalibration)
    assert learned.rmse == pytest.approx(flat.rmse)
    assert learned.nll < flat.nll
    assert learned.ece < 0.05
    truth = torch.distributions.Normal(*predict_normal(found, x)).log_prob(y).sum(1).mean()
    assert learned.nll == pytest.approx(-float(truth))


def test_normal_calibration_by_hand():
    """Quantiles of the normal lie in their intervals as often as they say; wide ones too often."""
    levels = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    y = torch.special.ndtri(levels)[:, None]
    zero = torch.zeros_like(y)
    right = normal_calibration(zero, zero + 1, y)
    assert right.ece < 1e-3
    assert right.rmse == pytest.approx(1.0, abs=5e-3)
    assert right.nll == pytest.approx(0.5 * np.log(2 * np.pi) + 0.5, abs=5e-3)
    wide = normal_calibration(zero, zero + 1e9, y)
    asked = np.arange(1, 20) / 20
    assert wide.ece == pytest.approx(np.mean(1 - asked))
    with pytest.raises(DataError, match=r"must be of one shape \(batch, out\)"):
        normal_calibration(zero, zero[:5], y)


def test_bad_flavour():
    loader = [data()]
    result = fit(nn.Linear(2, 2), loader, epochs=1, objective="map")
    with pytest.raises(SpecError, match="flavour='ggn' of a posterior is not one of kfac"):
        posterior(result, loader, flavour="ggn")


METHODS = ["map", "linearised", "sampled"]


def untrained(batch, likelihood="classification"):
    net = nn.Linear(batch[0].shape[1], 2, dtype=batch[0].dtype)
    blocks = kfac(net, [batch], likelihood)
    return Posterior(net, blocks, dict.fromkeys(blocks, 1.0), likelihood_from(likelihood))


@pytest.mark.parametrize("method", METHODS)
def test_held_out_targets_must_fit(method):
    x, y = data(4)
    found = untrained((x, y))
    for targets in (y + 1, y - 1, y.float(), y.int()):
        with pytest.raises(DataError, match="targets .*(labels|int64)"):
            held_out(found, [(x, targets)], method)
    x, y = regression(4)
    found = untrained((x, y), "regression")
    for targets in (y.mul(math.nan), y.long(), y[:3]):
        with pytest.raises(DataError, match="targets (hold NaN|of a regression loader)"):
            held_out(found, [(x, targets)], method)


@pytest.mark.parametrize("samples", [0, -1, 1.5, True])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.usefixtures("unchecked")
def test_draws_are_counted(method, samples):
    x, y = regression(4)
    found = untrained((x, y), "regression")
    for ask in (predict, predict_normal):
        with pytest.raises(SpecError, match=f"samples={samples} must be a whole number, at least"):
            ask(found, x, method, samples)


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_predicted_from_what_is_not_finite(method):
    found = untrained(data(4))
    with pytest.raises(DataError, match="inputs with NaN or infinity"):
        predict(found, torch.tensor([[0.0, math.nan]]), method)
    nn.init.constant_(found.net.bias, math.inf)
    with pytest.raises(NumericsError, match="network gave NaN or infinite outputs"):
        predict(found, torch.zeros(1, 2), method)


def test_predictions_leave_every_module_in_its_mode():
    loader = [data()]
    net = nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.Linear(2, 2))
    options = Options(lr=0.05, progress=False)
    result = fit(net, loader, None, 2, "map", options=options)
    assert not any(module.training for module in net.modules())
    net.train()
    net[1].eval()
    found = posterior(result, loader)
    for method in METHODS:
        predict(found, loader[0][0], method)
    assert [module.training for module in net.modules()] == [True, True, False, True]


def test_bad_input(fitted):
    with pytest.raises(SpecError, match="method='bayes' is not"):
        predict(fitted, torch.randn(1, 2), "bayes")
    with pytest.raises(DataError, match="loader gave no data"):
        held_out(fitted, [])
    with pytest.raises(DataError, match=r"\(batch, classes\) and \(batch,\)"):
        calibration(torch.rand(3, 2), torch.zeros(2, dtype=torch.long))
