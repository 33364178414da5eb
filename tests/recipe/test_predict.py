"""Posterior predictions and calibration against quadrature and hand computation."""

import numpy as np
import pytest
import torch
from torch import nn

from relaxeq.errors import DataError, SpecError
from relaxeq.recipe import Options, calibration, fit, held_out, posterior, predict


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


def test_bad_input(fitted):
    with pytest.raises(SpecError, match="method='bayes' is not"):
        predict(fitted, torch.randn(1, 2), "bayes")
    with pytest.raises(DataError, match="loader gave no data"):
        held_out(fitted, [])
    with pytest.raises(DataError, match=r"\(batch, classes\) and \(batch,\)"):
        calibration(torch.rand(3, 2), torch.zeros(2, dtype=torch.long))
