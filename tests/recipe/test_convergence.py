"""The slope of log p(D, θ) and its noise, against sums of autograd written out here."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from relaxeq.errors import EvidenceWarning
from relaxeq.likelihoods import Categorical
from relaxeq.recipe import Options, fit
from relaxeq.recipe.convergence import Slope, slope_of
from relaxeq.recipe.priors import prior_groups
from relaxeq.sites import deterministic

pytestmark = pytest.mark.usefixtures("float64")
ALPHAS = {"0.weight": 2.0, "0.bias": 0.3, "3.weight": math.inf, "3.bias": 1.0}


def network() -> nn.Sequential:
    norm = deterministic(nn.Linear(3, 3))
    return nn.Sequential(nn.Linear(2, 3), nn.Tanh(), norm, nn.Linear(3, 2), nn.Dropout(0.5))


def data(sizes: tuple[int, ...]) -> list[tuple[Tensor, Tensor]]:
    return [(torch.randn(n, 2), torch.arange(n) % 2) for n in sizes]


@pytest.mark.parametrize("sizes", [(4, 4, 4), (6, 3, 1), (5, 5)])
def test_slope_and_noise(sizes: tuple[int, ...]) -> None:
    """Paths that are off and deterministic parameters take no part; dropout is off."""
    net, loader = network(), data(sizes)
    found = slope_of(net, loader, Categorical(), prior_groups(net), ALPHAS)
    named = [net[0].weight, net[0].bias, net[3].bias]
    slopes = []
    for x, y in loader:
        value = -nn.functional.cross_entropy(net.eval()(x), y, reduction="sum")
        slopes.append(torch.cat([g.flatten() for g in torch.autograd.grad(value, named)]))
    total = torch.stack(slopes).sum(0)
    alphas = (2.0, 0.3, 1.0)
    prior = torch.cat([a * p.detach().flatten() for a, p in zip(alphas, named, strict=True)])
    assert found.norm == pytest.approx(float((total - prior).norm()))
    count = sum(sizes)
    spread = sum(
        float((g - n / count * total).square().sum()) for g, n in zip(slopes, sizes, strict=True)
    )
    assert found.noise == pytest.approx(math.sqrt(spread * len(sizes) / (len(sizes) - 1)))
    assert found.ratio == pytest.approx(found.norm / found.noise)
    assert all(parameter.grad is None for parameter in net.parameters())


def test_noise_is_unknown_from_one_batch_and_for_networks_without_priors() -> None:
    net = network()
    assert slope_of(net, data((8,)), Categorical(), prior_groups(net), ALPHAS).ratio is None
    deterministic(net)
    assert slope_of(net, data((4, 4)), Categorical(), (), {}) == Slope(0.0, 0.0)


def test_training_makes_the_slope_small(options: Callable[..., Options]) -> None:
    torch.manual_seed(3)
    loader = [(x, (x[:, 0] + 0.3 * x[:, 1] > 0).long()) for x, _ in data((20, 20, 20))]
    ratios = []
    for epochs in (2, 200):
        torch.manual_seed(1)
        settings = options(lr=0.1)
        result = fit(nn.Linear(2, 2), loader, None, epochs, "map", settings)
        assert result.slope is not None
        assert result.slope.ratio is not None
        ratios.append(result.slope.ratio)
    assert ratios[0] > 0.3
    assert ratios[1] < 0.05


def test_a_run_without_an_update_is_told(options: Callable[..., Options]) -> None:
    loader = data((6,))
    settings = options(burn_in=2, update_every=2)
    with pytest.warns(EvidenceWarning, match=r"epochs=3 end before .* burn_in \+ update_every = 4"):
        fit(nn.Linear(2, 2), loader, epochs=3, options=settings)


@pytest.mark.filterwarnings("error")
def test_runs_with_an_update_or_by_map_are_not_told(options: Callable[..., Options]) -> None:
    loader = data((6,))
    settings = options(burn_in=2, update_every=2)
    assert "evidence" in fit(nn.Linear(2, 2), loader, epochs=4, options=settings).history[-1]
    fit(nn.Linear(2, 2), loader, epochs=3, objective="map", options=settings)
