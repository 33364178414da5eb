"""fisher="mc" is unbiased: means of draws reach the exact factors at the rate 1/√draws."""

import pytest
import torch
from torch import nn

from relaxeq import kfac
from relaxeq.errors import SpecError
from relaxeq.likelihoods import Gaussian

pytestmark = pytest.mark.usefixtures("float64")
LIKELIHOODS = {"classification": "classification", "gaussian": Gaussian(0.4)}


def task(likelihood):
    net = nn.Sequential(nn.Conv2d(1, 2, 2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3))
    net[-1].weight.data *= 3  # probabilities far from equal
    x = torch.randn(6, 1, 3, 3)
    y = torch.arange(6) % 3 if likelihood == "classification" else torch.randn(6, 3)
    return net, [(x[:4], y[:4]), (x[4:], y[4:])]


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_draws_reach_the_exact_factors(name):
    likelihood = LIKELIHOODS[name]
    net, loader = task(likelihood)
    exact = kfac(net, loader, likelihood)
    generator = torch.Generator().manual_seed(1)
    draws = [kfac(net, loader, likelihood, "mc", generator) for _ in range(150)]
    for parameter, block in exact.items():
        samples = torch.stack([draw[parameter].outputs for draw in draws])
        torch.testing.assert_close(draws[0][parameter].inputs, block.inputs)
        assert draws[0][parameter].scale == block.scale
        error = samples.mean(0) - block.outputs
        standard = samples.std(0) / len(draws) ** 0.5
        assert (error.abs() <= 4 * standard + 1e-12).all()
        assert error.norm() < 0.2 * block.outputs.norm()
        single = (samples - block.outputs).flatten(1).norm(dim=1).mean()
        assert single > 4 * error.norm()


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_generators_repeat_draws(name):
    likelihood = LIKELIHOODS[name]
    net, loader = task(likelihood)

    def drawn(seed):
        generator = torch.Generator().manual_seed(seed)
        return kfac(net, loader, likelihood, "mc", generator)["0.weight"].dense()

    assert torch.equal(drawn(3), drawn(3))
    assert not torch.equal(drawn(3), drawn(4))


def test_targets_do_not_matter():
    net, loader = task("classification")
    turned = [(x, (y + 1) % 3) for x, y in loader]
    for fisher in ("exact", "mc"):
        found = [
            kfac(net, data, fisher=fisher, generator=torch.Generator().manual_seed(0))
            for data in (loader, turned)
        ]
        assert all(torch.equal(found[0][k].dense(), found[1][k].dense()) for k in found[0])


@pytest.mark.usefixtures("unchecked")
def test_unknown_estimators_are_refused():
    net, loader = task("classification")
    with pytest.raises(SpecError, match="fisher='empirical' is not 'exact' or 'mc'"):
        kfac(net, loader, fisher="empirical")
