"""At σ = 0 everything is equivariant to its stated group; at σ > 0 it breaks in proportion.

2,000 drawn examples and more in the default profile, 20,000 and more in the profile "thorough".
"""

import copy
import math

import pytest
import torch
from hypothesis import find, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import relaxeq as rq
from relaxeq import groups
from relaxeq.errors import RelaxeqError
from relaxeq.layers import polyphase
from relaxeq.testing import assert_equivariant, equivariance_error, make_strict_, strategies
from relaxeq.testing.stated import stated_group

UNIT = settings.default.max_examples if settings.default else 100
DTYPES = st.sampled_from((torch.float64, torch.float32))
SHARES = {"paths": 7, "layers": 7, "subgroups": 4, "networks": 3}


def share(name: str) -> settings:
    """So many times the examples of the profile: 100 in "ci", 2,000 in "thorough"."""
    return settings(max_examples=UNIT * SHARES[name])


def test_the_shares_add_up() -> None:
    profiles = {name: settings.get_profile(name).max_examples for name in ("ci", "thorough")}
    total = sum(SHARES.values())
    assert total * profiles["ci"] >= 2_000
    assert total * profiles["thorough"] >= 20_000


@share("paths")
@given(data=st.data(), dtype=DTYPES)
def test_paths(data: st.DataObject, dtype: torch.dtype) -> None:
    path, source, target = data.draw(strategies.paths(dtype=dtype))
    x = data.draw(strategies.features(field=source, dtype=dtype))
    group = stated_group(path)
    if group is None:
        (path.amplitudes or path).prior_variance = 0.0
        path.sample_prior_()
        assert not path(x).any()
        return
    a = data.draw(strategies.elements(group=group, size=source.size))
    assert_equivariant(path, source, target, elements=[a], x=x)


@share("layers")
@given(data=st.data(), dtype=DTYPES)
def test_layers(data: st.DataObject, dtype: torch.dtype) -> None:
    layer = data.draw(strategies.layers(dtype=dtype, strict=True))
    a = data.draw(strategies.elements(group=layer.source.group, size=layer.source.size))
    x = data.draw(strategies.features(field=layer.source, dtype=dtype))
    assert_equivariant(layer, layer.source, layer.target, elements=[a], x=x)


@share("subgroups")
@given(data=st.data(), dtype=DTYPES)
def test_layers_under_every_subgroup(data: st.DataObject, dtype: torch.dtype) -> None:
    layer = data.draw(strategies.layers(dtype=dtype))
    parts = layer.source.group.point_group.subgroups()
    part = data.draw(st.sampled_from(parts))
    group = groups.semidirect(groups.Z2(), part.group)
    make_strict_(layer, group)
    a = data.draw(strategies.elements(group=group, size=layer.source.size))
    x = data.draw(strategies.features(field=layer.source, dtype=dtype))
    assert_equivariant(layer, layer.source, layer.target, elements=[a], x=x)


@share("networks")
@given(data=st.data(), dtype=DTYPES)
def test_networks(data: st.DataObject, dtype: torch.dtype) -> None:
    net = data.draw(strategies.networks(dtype=dtype, strict=True))
    a = data.draw(strategies.elements(group=net.source.group, size=net.source.size))
    x = data.draw(strategies.features(field=net.source, dtype=dtype))
    assert_equivariant(net, net.source, net.target, elements=[a], x=x)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("filters", strategies.FILTERS)
def test_the_papers_network_is_invariant(filters: str, dtype: torch.dtype) -> None:
    group = groups.planar("p4")
    net = rq.models.PaperNet(
        "F-FC+CONV+GCONV", alpha=1, size=(8, 8), group=group, filters=filters
    ).to(dtype)
    image = rq.Field(group, 3, (8, 8), rep="trivial")
    assert float(equivariance_error(net, image, elements=[group.element((3, 1), 1)])) > 1e-2
    assert_equivariant(make_strict_(net, group), image)


@pytest.mark.parametrize(("name", "exact"), [("C8", "p4"), ("D6", "pmm"), ("C3", "Z2")])
def test_steerable_filters_keep_what_the_grid_keeps(name: str, exact: str) -> None:
    group = groups.planar(name)
    source = rq.Field(group, 1, (6, 6), rep="trivial")
    hidden = rq.Field(group, 1, (6, 6))
    net = nn.Sequential(
        rq.RelaxedLayer(source, hidden, "CONV+STEER"),
        nn.ReLU(),
        rq.RelaxedLayer(hidden, hidden.resized((3, 3)), "STEER", stride=2),
    )
    make_strict_(net, group).double()
    assert_equivariant(net, source, net[2].target, group=exact)


P4 = groups.planar("p4")
HIDDEN = rq.Field(P4, 2, (4, 4))
COARSE = HIDDEN.resized((2, 2))
# Outputs are linear in the weights of these paths, and of degree 2 in those of F-FC (θ1 θ2).
DEGREES = {"FC": 1, "CONV": 1, "F-FC": 2}
ELEMENTS = [P4.element((1, 2), 0), P4.element((1, 0), 1), P4.element((0, 3), 2)]


def scaled(network: nn.Module, label: str, sigma: float) -> nn.Module:
    """The network with the weights of all paths of that label times σ: θ ~ N(0, σ²)."""
    other = copy.deepcopy(network)
    for layer in other.modules():
        if isinstance(layer, rq.RelaxedLayer):
            for parameter in layer.paths[label].parameters():
                parameter.data *= sigma
    return other


NETWORKS = {
    "a layer": (lambda spec: rq.RelaxedLayer(HIDDEN, HIDDEN, spec), HIDDEN),
    "a layer with stride": (lambda spec: rq.RelaxedLayer(HIDDEN, COARSE, spec, stride=2), COARSE),
    "a stack": (
        lambda spec: nn.Sequential(
            rq.RelaxedLayer(HIDDEN, HIDDEN, spec),
            nn.ReLU(),
            rq.RelaxedLayer(HIDDEN, COARSE, spec, stride=2),
        ),
        COARSE,
    ),
}


@pytest.mark.parametrize("label", DEGREES)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_error_grows_with_sigma(label: str, name: str, float64: torch.dtype) -> None:
    build, target = NETWORKS[name]
    network = build(f"{label}+GCONV")
    sigmas = [10.0**-k for k in (6, 5, 4, 3)]
    errors = [
        float(equivariance_error(scaled(network, label, s), HIDDEN, target, elements=ELEMENTS))
        for s in (s ** (1 / DEGREES[label]) for s in sigmas)
    ]
    assert min(errors) > 0
    slopes = [error / sigma for error, sigma in zip(errors, sigmas, strict=True)]
    assert slopes == pytest.approx([slopes[0]] * len(slopes), rel=0.02)
    assert math.log10(errors[-1] / errors[0]) == pytest.approx(3, abs=0.01)
    assert_equivariant(scaled(network, label, 0.0), HIDDEN, target, tolerance=1e-14)


class Halving(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return polyphase(x)


def breaks(x: Tensor) -> bool:
    field = rq.Field(groups.Z2(), 1, (4, 4))
    shift = [field.group.element((1, 0))]
    report = equivariance_error(Halving(), field, field.resized((2, 2)), elements=shift, x=x)
    return not report.equivariant


def test_equal_maxima_break_strictness_and_are_revealed_on_request() -> None:
    field = rq.Field(groups.Z2(), 1, (4, 4))
    x = find(
        strategies.features(field=field, max_batch=1, ties=True),
        breaks,
        settings=settings(max_examples=500, database=None),
    )
    phases = [x[0, 0, i::2, j::2].abs().max() for i in (0, 1) for j in (0, 1)]
    assert sum(bool(phase == max(phases)) for phase in phases) > 1


@given(data=st.data())
def test_features_without_ties_do_not(data: st.DataObject) -> None:
    field = rq.Field(groups.Z2(), 1, (4, 4))
    assert not breaks(data.draw(strategies.features(field=field, max_batch=1)))


def test_no_choice_of_one_phase_could_be_strict_on_symmetric_data() -> None:
    """a·x = x asks for a·f(x) = f(x), but the half turn moves every phase of x to another one."""
    field = rq.Field(groups.planar("p2"), 1, (4, 4), rep="trivial")
    half_turn = field.group.element(point=1)
    x = field.random(1)
    x = x + field.act(half_turn, x)
    assert torch.equal(field.act(half_turn, x), x)
    coarse = field.resized((2, 2))
    for kept in (x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)):
        assert not torch.allclose(coarse.act(half_turn, kept), kept)
    report = equivariance_error(Halving(), field, coarse, elements=[half_turn], x=x)
    assert not report.equivariant


def on(layer: nn.Module) -> list[str]:
    return [label for label, path in layer.paths.items() if not path.off]


MANY = "F-FC+CONV+GCONV+GCONV[p2]"
SAME = {
    "Z2": ("Z2", ["CONV", "GCONV", "GCONV[p2]"]),
    "a planar group": (P4, ["GCONV"]),
    "a point group": (groups.p4(), ["GCONV"]),
    "its name": ("p2", ["GCONV", "GCONV[p2]"]),
    "a subgroup": (groups.p4().subgroup([2]), ["GCONV", "GCONV[p2]"]),
}


@pytest.mark.parametrize("name", SAME)
def test_a_group_may_be_given_in_any_form(name: str) -> None:
    group, expected = SAME[name]
    layer = rq.RelaxedLayer(HIDDEN, HIDDEN, MANY)
    assert on(make_strict_(layer, group)) == expected
    x = HIDDEN.random(2)
    assert layer(x).abs().max() > 0
    assert_equivariant(layer, HIDDEN, HIDDEN, group=group)


S3 = groups.symmetric(3)
LINEAR = {
    "whole": (S3, ["MAP[S3]"]),
    "name": ("C3", ["MAP[S3]", "MAP[C3]"]),
    "another group's copy": (groups.cyclic(3), ["MAP[S3]", "MAP[C3]"]),
    "a subgroup": (next(part for part in S3.subgroups() if part.order == 2), ["MAP[S3]"]),
    "trivial": (groups.trivial(), ["MAP[S3]", "MAP[C3]", "FC"]),
}


@pytest.mark.parametrize("name", LINEAR)
def test_groups_of_representations_are_found_by_what_they_are(name: str) -> None:
    group, expected = LINEAR[name]
    layer = rq.RelaxedLinear(
        S3.regular, S3.regular, groups=[S3, groups.cyclic(3), groups.trivial()]
    )
    assert on(make_strict_(layer, group)) == expected


NO_GROUP = {
    "none": (lambda: rq.RelaxedLayer(HIDDEN, HIDDEN, MANY), None, "group=None does not act"),
    "larger": (lambda: rq.RelaxedLayer(HIDDEN, HIDDEN, MANY), "p4m", "is not inside Z2 ⋊ p4"),
    "abstract": (lambda: rq.RelaxedLayer(HIDDEN, HIDDEN, MANY), S3, "does not act on grids"),
    "foreign": (lambda: rq.RelaxedLinear(S3.regular, S3.regular), groups.cyclic(5), "S3"),
    "no module": (lambda: [HIDDEN], P4, r"module=\[.*\] must be a torch.nn.Module"),
}


@pytest.mark.parametrize("name", NO_GROUP)
def test_groups_that_mean_nothing_switch_nothing_off(name: str, unchecked: None) -> None:
    build, group, message = NO_GROUP[name]
    layer = build()
    with pytest.raises(RelaxeqError, match=message):
        make_strict_(layer, group)
    if isinstance(layer, nn.Module):
        assert on(layer) == list(layer.paths)
