"""Strategies: what they draw is valid and varied, and failing examples shrink to small ones."""

from collections.abc import Callable
from typing import Any

import torch
from hypothesis import find, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

import relaxeq as rq
from relaxeq import groups
from relaxeq.layers import RelaxedLayer
from relaxeq.testing import (
    assert_equivariant,
    check_group,
    check_representation,
    equivariance_error,
    strategies,
)


def smallest(strategy: SearchStrategy[Any], condition: Callable[[Any], bool]) -> Any:
    return find(strategy, condition, settings=settings(max_examples=500, database=None))


def seen(strategy: SearchStrategy[Any], of: Callable[[Any], Any]) -> set[Any]:
    """What a hundred examples show."""
    found: set[Any] = set()

    @settings(max_examples=100)
    @given(strategy)
    def look(value: Any) -> None:
        found.add(of(value))

    look()
    return found


@given(group=strategies.groups())
def test_groups_keep_the_laws(group: groups.FiniteGroup) -> None:
    assert group.order <= 24
    check_group(group)


@settings(max_examples=36)
@given(group=strategies.planar_groups(), size=st.sampled_from(strategies.SIZES))
def test_planar_groups_keep_the_laws(group: groups.PlanarGroup, size: tuple[int, int]) -> None:
    check_group(group, size)


@given(data=st.data())
def test_representations_keep_the_laws(data: st.DataObject) -> None:
    group = data.draw(strategies.groups(max_order=12))
    rho = data.draw(strategies.representations(group=group, max_dim=6))
    assert rho.dim <= 6
    check_representation(rho)


@given(data=st.data())
def test_elements_are_of_their_group(data: st.DataObject) -> None:
    group = data.draw(strategies.planar_groups())
    a = data.draw(strategies.elements(group=group, size=(3, 5)))
    assert a.group == group
    assert all(0 <= d < n for d, n in zip(a.shift, (3, 5), strict=True))
    finite = data.draw(strategies.groups(max_order=8))
    assert data.draw(strategies.elements(group=finite)) in finite.elements


@given(data=st.data(), ties=st.booleans())
def test_features_are_of_their_field(data: st.DataObject, ties: bool) -> None:
    field = data.draw(strategies.fields(max_channels=3))
    assert field.channels <= 3
    assert field.group.exact_on(field.size)
    x = data.draw(strategies.features(field=field, dtype=torch.float32, max_batch=2, ties=ties))
    field.check(x)
    assert x.dtype == torch.float32
    assert len(x) <= 2
    assert bool((x == x.round()).all()) is ties


@given(layer=strategies.layers())
def test_layers_run_and_have_weights(layer: RelaxedLayer) -> None:
    x = layer.source.random(2, dtype=torch.float64)
    layer.target.check(layer(x))
    assert all(bool(p.any()) for p in layer.paths.parameters())


@settings(max_examples=30)
@given(layer=strategies.layers(dtype=torch.float32))
def test_a_path_at_fault_is_named(layer: RelaxedLayer) -> None:
    """Errors come from paths that state less than the fields' group, and from no other module."""
    group = layer.source.group
    below = [p for p in layer.paths.values() if p.symmetry not in (str(group), "Z2 ⋊ p1")]
    report = equivariance_error(layer, layer.source, layer.target)
    if not below:
        assert report.equivariant
    elif not report.equivariant:
        assert report.fault is not None
        assert report.fault.startswith("paths")


@settings(max_examples=50)
@given(data=st.data())
def test_linear_layers_commute_with_their_group(data: st.DataObject) -> None:
    layer = data.draw(strategies.linear_layers(strict=True))
    assert_equivariant(layer, layer.source, layer.target)


def test_all_kinds_are_drawn() -> None:
    layers = seen(strategies.layers(), lambda layer: layer)
    assert {layer.stride for layer in layers} == {1, 2}
    assert {layer.filters for layer in layers} == set(rq.paths.FILTERS)
    assert len({layer.source.group for layer in layers}) == 6
    assert len({(layer.source.rep, layer.target.rep) for layer in layers}) == 4
    labels = {layer.spec for layer in layers}
    names = {name.partition("[")[0] for spec in labels for name in spec.split("+")}
    assert names == set(rq.paths.PATHS) - {"STEER"}
    assert any("[" in spec for spec in labels)
    assert None in seen(strategies.networks(), lambda net: net.target)


def test_groups_are_of_many_kinds() -> None:
    found = seen(strategies.groups(max_order=60), lambda group: group)
    assert {groups.trivial(), groups.cyclic(5), groups.symmetric(3), groups.icosahedral()} <= found
    assert any(not g.is_abelian and g.order == 8 for g in found)
    assert {g.order for g in seen(strategies.groups(max_order=2), lambda group: group)} == {1, 2}


def test_examples_shrink_to_small_ones() -> None:
    field = smallest(strategies.fields(), lambda field: True)
    assert str(field) == "1×trivial on 1×1 (Z2)"
    layer = smallest(strategies.layers(), lambda layer: layer.spec != "FC")
    assert (layer.source.size, layer.source.channels, layer.stride) == ((1, 1), 1, 1)
    assert "+" not in layer.spec
    net = smallest(strategies.networks(), lambda net: len(net.layers) > 1)
    assert [layer.spec for layer in net.layers] == ["FC", "FC"]
    group = smallest(strategies.groups(), lambda group: not group.is_abelian)
    assert group.order in (6, 8)


def test_a_fault_shrinks_to_one_that_can_be_read() -> None:
    """The smallest layer that is not equivariant: a dense path of one channel, on 2×2 pixels."""

    def breaks(layer: RelaxedLayer) -> bool:
        report = equivariance_error(layer, layer.source, layer.target)
        return float(report) > 1e-3

    layer = smallest(strategies.layers(), breaks)
    assert layer.spec == "FC"
    assert str(layer.source) == "1×trivial on 2×2 (Z2)"
    assert (layer.target.channels, layer.target.rep, layer.stride) == (1, "trivial", 1)


def test_paths_come_with_their_fields() -> None:
    path, source, target = smallest(
        strategies.paths(), lambda found: found[0].symmetry == "Z2 ⋊ pm"
    )
    assert path.in_shape == source.shape
    assert path.out_shape == target.shape
    assert source.group == groups.planar("pm")
