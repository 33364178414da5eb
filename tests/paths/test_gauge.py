"""The scale gauge of factored paths: the same map at the least norm."""

import copy

import pytest
import torch
from torch import nn

from relaxeq import Field, RelaxedLayer, groups
from relaxeq.paths import FactoredFC, Gauged, Sparse, SparseFC
from relaxeq.recipe import Options, fit
from relaxeq.recipe.priors import balance

pytestmark = pytest.mark.usefixtures("float64")
Z2, P4 = groups.planar("Z2"), groups.planar("p4")


def fields(group=Z2):
    return Field(group, 2, (4, 4)), Field(group, 3, (2, 2))


PATHS = {
    "F-FC": (lambda: FactoredFC(*fields()), "theta1", "theta2"),
    "F-FC, p4": (lambda: FactoredFC(*fields(P4)), "theta1", "theta2"),
    "S-FC": (lambda: SparseFC(*fields()), "u1", "u2"),
    "S-FC, lengthscales": (
        lambda: SparseFC(*fields(), options=Sparse("lengthscales")),
        "amplitudes.u1",
        "amplitudes.u2",
    ),
}


@pytest.mark.parametrize("name", PATHS)
def test_balancing_keeps_the_map_and_takes_the_least_norm(name):
    build, one, two = PATHS[name]
    path = build()
    first, second = path.get_parameter(one), path.get_parameter(two)
    nn.init.normal_(first)
    nn.init.normal_(second, std=30.0)
    x = torch.randn(5, *path.in_shape)
    before, least = path(x).detach(), 0.0
    for o in range(len(first)):
        for c in range(first.shape[1]):
            least += 2 * float(first[o, c].detach().norm() * second[o, c].detach().norm())
    assert isinstance(path, Gauged)
    path.balance_()
    torch.testing.assert_close(path(x).detach(), before)
    norms = [factor.detach().flatten(2).norm(dim=2) for factor in (first, second)]
    torch.testing.assert_close(*norms)
    assert float(sum(norm.square().sum() for norm in norms)) == pytest.approx(least)
    again = copy.deepcopy(path.state_dict())
    path.balance_()
    torch.testing.assert_close(path.state_dict(), again)


@pytest.mark.parametrize("size", [0.0, 1e-320])
def test_pairs_without_a_map_stay(size):
    path = FactoredFC(*fields())
    path.theta1.data[1, 0] = size
    kept = path.theta2.detach()[1, 0].clone()
    path.balance_()
    assert torch.isfinite(path.theta1).all()
    assert torch.isfinite(path.theta2).all()
    if size == 0.0:
        assert torch.equal(path.theta2.detach()[1, 0], kept)


@pytest.mark.parametrize("frozen", [["theta1"], ["theta2"], ["theta1", "theta2"]])
def test_frozen_factors_keep_their_bits(frozen):
    path = FactoredFC(*fields())
    nn.init.normal_(path.theta1, std=9.0)
    for name in frozen:
        path.get_parameter(name).requires_grad_(False)
    before = [factor.detach().clone() for factor in path.parameters()]
    path.balance_()
    assert all(torch.equal(a, b) for a, b in zip(before, path.parameters(), strict=True))


def test_a_path_that_is_off_keeps_its_bits():
    layer = RelaxedLayer(*fields(), "F-FC+CONV", stride=2)
    layer.paths["F-FC"].prior_variance = 0.0
    before = [factor.detach().clone() for factor in layer.paths["F-FC"].parameters()]
    balance(layer)
    after = layer.paths["F-FC"].parameters()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    layer.paths["F-FC"].prior_variance = 1.0
    balance(layer)
    assert not torch.equal(before[0], layer.paths["F-FC"].theta1)


@pytest.mark.parametrize("objective", ["laplace", "map"])
def test_a_fit_ends_balanced(objective):
    layer = RelaxedLayer(*fields(), "F-FC+CONV", stride=2)
    nn.init.normal_(layer.paths["F-FC"].theta1, std=3.0)
    net = nn.Sequential(layer, nn.Flatten(), nn.Linear(12, 3))
    loader = [(torch.randn(20, 2, 4, 4), torch.arange(20) % 3)]
    options = Options(burn_in=1, update_every=2, progress=False)
    result = fit(net, loader, None, 4, objective, options)
    path = layer.paths["F-FC"]
    first, second = (f.detach().flatten(2).norm(dim=2) for f in (path.theta1, path.theta2))
    torch.testing.assert_close(first, second)
    norm = float((first.square() + second.square()).sum())
    assert result.prior("0.paths.F-FC").squared_norm == pytest.approx(norm)
