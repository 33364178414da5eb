"""The scale gauge of factored paths: the same map at the least norm."""

import copy

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn

from relaxeq import Field, RelaxedLayer, groups
from relaxeq.curvature import Pass, estimate
from relaxeq.evidence import LBFGS, log_marginal_likelihood
from relaxeq.paths import FactoredFC, Gauged, Sparse, SparseFC, StagedConv
from relaxeq.recipe import Options, fit
from relaxeq.recipe.priors import balance, prior_groups, terms_of

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


STAGED = {
    "separable": ("separable", "p4", None, "regular"),
    "depthwise-separable": ("depthwise-separable", "p4", None, "regular"),
    "lifted": ("depthwise-separable", "p4", None, "trivial"),
    "p4m": ("separable", "p4m", None, "regular"),
    "p2 of p4": ("depthwise-separable", "p4", ["p2"], "regular"),
}


def staged(name):
    filters, group, parts, rep = STAGED[name]
    group = groups.planar(group)
    source, target = Field(group, 3, (4, 4), rep=rep), Field(group, 2, (4, 4))
    spec = None if parts else "GCONV"
    (path,) = RelaxedLayer(source, target, spec, filters=filters, groups=parts).paths.children()
    assert isinstance(path, StagedConv)
    for parameter in path.parameters():
        nn.init.normal_(parameter, std=10 ** float(torch.randint(-2, 3, ())))
    return path


def least_norm(path):
    """The least ‖θ‖² over one scale per inner channel and boundary, by a general minimiser."""
    count, total = 3, 0.0
    values = {name: p.detach() for name, p in path.named_parameters()}
    inner = [name for name in ("spatial", "turn") if name in values]
    for c in range(count):
        rows = {n: v.view(count, -1)[c].square().sum() for n, v in values.items() if n != "mix"}
        rows["mix"] = values["mix"].view(len(values["mix"]), count, -1)[:, c].square().sum()

        def norm(logs, rows=rows):
            s = [1.0, *np.exp(logs).tolist(), 1.0]
            found = float(rows["mix"]) / s[len(inner)] ** 2
            for k, name in enumerate(inner):
                found += float(rows[name]) * (s[k + 1] / s[k]) ** 2
                found += float(rows[f"{name}_bias"]) * s[k + 1] ** 2
            return np.log(found)

        total += float(np.exp(minimize(norm, np.zeros(len(inner)), tol=1e-12).fun))
    return total


@pytest.mark.parametrize("name", STAGED)
def test_stages_balance_to_the_same_map_at_the_least_norm(name):
    path = staged(name)
    x = torch.randn(5, *path.in_shape)
    before, least = path(x).detach(), least_norm(path)
    assert sum(float(p.detach().square().sum()) for p in path.parameters()) > 1.1 * least
    assert isinstance(path, Gauged)
    path.balance_()
    torch.testing.assert_close(path(x).detach(), before)
    assert sum(float(p.detach().square().sum()) for p in path.parameters()) == pytest.approx(least)
    again = copy.deepcopy(path.state_dict())
    path.balance_()
    torch.testing.assert_close(path.state_dict(), again)


@pytest.mark.parametrize("frozen", ["spatial", "spatial_bias", "turn"])
def test_stages_that_are_frozen_keep_their_bits_and_the_map(frozen):
    path = staged("depthwise-separable")
    path.get_parameter(frozen).requires_grad_(False)
    kept, mix = path.get_parameter(frozen).detach().clone(), path.mix.detach().clone()
    x = torch.randn(5, *path.in_shape)
    before = path(x).detach()
    path.balance_()
    assert torch.equal(path.get_parameter(frozen), kept)
    assert torch.equal(path.mix, mix) == (frozen == "turn")
    torch.testing.assert_close(path(x).detach(), before)


@pytest.mark.parametrize("dead", ["writing", "reading"])
def test_channels_without_a_map_stay(dead):
    path = staged("separable")
    silent = {
        "writing": [path.spatial[:1], path.spatial_bias[:1]],
        "reading": [path.mix.view(len(path.mix), 3, -1)[:, 0]],
    }
    with torch.no_grad():
        for part in silent[dead]:
            part.zero_()
    x = torch.randn(5, *path.in_shape)
    before, kept = path(x).detach(), path.spatial.detach().clone()
    path.balance_()
    torch.testing.assert_close(path(x).detach(), before)
    assert torch.equal(path.spatial[0], kept[0])
    assert not torch.equal(path.spatial[1], kept[1])


def test_a_fit_balances_stages():
    field = Field(P4, 2, (4, 4))
    layer = RelaxedLayer(field, field, "GCONV", filters="separable")
    nn.init.normal_(layer.paths["GCONV"].mix, std=3.0)
    net = nn.Sequential(layer, nn.Flatten(), nn.Linear(128, 3))
    loader = [(torch.randn(20, 8, 4, 4), torch.arange(20) % 3)]
    fit(net, loader, None, 2, options=Options(burn_in=1, update_every=1, progress=False))
    path = layer.paths["GCONV"]
    writing = path.spatial.view(2, -1).square().sum(1) + path.spatial_bias.square()
    torch.testing.assert_close(writing, path.mix.view(len(path.mix), 2, -1).square().sum((0, 2)))


@pytest.mark.parametrize("filters", ["separable", "depthwise-separable"])
@pytest.mark.parametrize("scale", [0.1, 10.0])
def test_balance_raises_the_evidence_of_stages_whose_scale_is_split_badly(filters, scale):
    """No theorem as the norm is: curvature changes with the scale too, but less than the prior."""
    field = Field(P4, 2, (4, 4))
    layer = RelaxedLayer(field, field, "GCONV", filters=filters)
    net = nn.Sequential(layer, nn.Flatten(), nn.Linear(128, 3)).eval()
    path, loader = layer.paths["GCONV"], [(torch.randn(20, 8, 4, 4), torch.arange(20) % 3)]
    with torch.no_grad():
        path.spatial.mul_(scale)
        path.mix.div_(scale)

    def settled():
        found, own = estimate(net, loader, Pass()), prior_groups(net)
        terms = terms_of(net, own, found.blocks)
        best, _ = LBFGS(1.0).step(terms, {group.name: 1.0 for group in own}, {})
        return log_marginal_likelihood(found.log_likelihood, terms, best) / found.count

    before = settled()
    balance(net)
    assert settled() > before + 0.1
