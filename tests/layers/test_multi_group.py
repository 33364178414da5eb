"""Layers with a path for each of several subgroups (Eq. 11)."""

import pytest
import torch

import relaxeq as rq
from relaxeq import groups
from relaxeq.errors import GroupError, SpecError
from relaxeq.fields import Field
from relaxeq.paths import GroupConv, find_subgroup, parse_spec, subgroup_name

P4M = groups.semidirect(groups.Z2(), groups.p4m())
D4, C4, C2, E = groups.dihedral(4), groups.cyclic(4), groups.cyclic(2), groups.trivial()
FIELD = Field(P4M, 2, (4, 4))


def commutator(layer, element, x):
    moved = layer(FIELD.act(element, x))
    return (moved - FIELD.act(element, layer(x))).norm() / moved.norm()


def labels(layer):
    return list(layer.paths)


def test_a_path_per_group():
    layer = rq.RelaxedLayer(FIELD, FIELD, groups=[D4, C4, C2, E])
    assert labels(layer) == ["GCONV[p4m]", "GCONV[p4]", "GCONV[p2]", "CONV"]
    assert layer.spec == "GCONV[p4m]+GCONV[p4]+GCONV[p2]+CONV"
    orders = [path.part.order for path in layer.paths.values()]
    assert orders == [8, 4, 2, 1]
    layer.paths["GCONV[p4]"].prior_variance = 0.0
    assert layer.paths["GCONV[p2]"].prior_variance == 1.0


@pytest.mark.parametrize(
    "values",
    [
        [D4, C4, C2, E],
        [groups.p4m(), groups.p4(), groups.p2(), groups.p1()],
        [P4M.point_group.subgroup(range(n)) for n in (8, 4)]
        + [P4M.point_group.subgroup([2]), P4M.point_group.subgroup([])],
        ["p4m", "C4", "p2", "C1"],
        [D4.subgroup([4, 1]), D4.subgroup([1]), D4.subgroup([2]), D4.subgroup([])],
    ],
    ids=["abstract", "point groups", "subgroups", "names", "subgroups of another table"],
)
def test_groups_in_every_form(values):
    layer = rq.RelaxedLayer(FIELD, FIELD, groups=values)
    assert labels(layer) == ["GCONV[p4m]", "GCONV[p4]", "GCONV[p2]", "CONV"]


def test_spec_and_groups_add_up():
    layer = rq.RelaxedLayer(FIELD, FIELD, "F-FC", groups=[C4, E])
    assert layer.spec == "F-FC+GCONV[p4]+CONV"
    assert labels(rq.RelaxedLayer(FIELD, FIELD)) == ["F-FC", "CONV"]


def test_a_spec_names_subgroups():
    spec = "F-FC + GCONV[p4] + GCONV[C2]+GCONV[{e, rs}]+CONV"
    layer = rq.RelaxedLayer(FIELD, FIELD, spec)
    assert labels(layer) == ["F-FC", "GCONV[p4]", "GCONV[C2]", "GCONV[{e, rs}]", "CONV"]
    assert parse_spec(spec) == tuple(labels(layer))
    assert layer.paths["GCONV[{e, rs}]"].part.embedding == (0, 5)


@pytest.mark.parametrize("name", ["p4m", "C6", "D6", "C8"])
def test_names_of_subgroups_read_back(name):
    group = groups.point_group(name)
    for part in group.subgroups():
        assert find_subgroup(group, subgroup_name(part)) == part
    names = [subgroup_name(part) for part in group.subgroups()]
    assert len(set(names)) == len(names)


def test_names_of_subgroups_of_any_group():
    found = [subgroup_name(part) for part in groups.symmetric(3).subgroups()]
    assert found == ["e", "{e, (1 2)}", "{e, (0 1)}", "{e, (0 2)}", "C3", "S3"]
    assert find_subgroup(groups.symmetric(3), groups.cyclic(3)).embedding == (0, 3, 4)


def test_the_least_symmetry_decides(float64):
    """With K's path alone on, the layer commutes with K, and breaks every element outside it."""
    layer = rq.RelaxedLayer(FIELD, FIELD, groups=P4M.point_group.subgroups())
    x = FIELD.random(2)
    for chosen in layer.paths.values():
        for path in layer.paths.values():
            path.prior_variance = 1.0 if path is chosen else 0.0
        layer.sample_prior_()
        for h in P4M.point_group.elements:
            error = commutator(layer, P4M.element(shift=(1, 2), point=h), x)
            assert error < 1e-12 if h.index in chosen.part.embedding else error > 1e-3


@pytest.mark.parametrize("filters", ["full", "pointwise", "separable", "depthwise-separable"])
@pytest.mark.parametrize("rep", ["regular", "trivial"])
def test_paths_of_a_layer_add(filters, rep, float64):
    source = Field(P4M, 2, (4, 4), rep=rep)
    layer = rq.RelaxedLayer(source, FIELD, groups=[D4, C4, E], filters=filters)
    x = source.random(2)
    total = sum(path(x) for path in layer.paths.values())
    torch.testing.assert_close(layer(x), total)
    torch.testing.assert_close(layer.matrix(), sum(path.matrix() for path in layer.paths.values()))


def test_state_survives_a_round_trip(float64):
    layer = rq.RelaxedLayer(FIELD, FIELD, groups=[D4, C2])
    layer.paths["GCONV[p2]"].prior_variance = 0.5
    layer.sample_prior_()
    other = rq.RelaxedLayer(FIELD, FIELD, groups=[D4, C2])
    other.load_state_dict(layer.state_dict())
    assert other.paths["GCONV[p2]"].prior_variance == 0.5
    x = FIELD.random(2)
    assert torch.equal(layer(x), other(x))


def test_curvature_of_every_path(float64):
    layer = rq.RelaxedLayer(FIELD, Field(P4M, 1, (4, 4)), groups=[D4, C4, E])
    net = torch.nn.Sequential(layer, torch.nn.Flatten(), torch.nn.Linear(128, 3))
    blocks = rq.kfac(net, [(FIELD.random(5), torch.tensor([0, 1, 2, 0, 1]))])
    for label, path in layer.paths.items():
        assert isinstance(path, GroupConv)
        size = path.theta.numel()
        assert blocks[f"0.paths.{label}.theta"].dense().shape == (size, size)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"groups": [C4, C4]}, SpecError, "names a path twice"),
        ({"spec": "GCONV[p4]", "groups": [C4]}, SpecError, "names a path twice"),
        ({"spec": "GCONV+GCONV[p4m]"}, SpecError, r"GCONV and GCONV\[p4m\] are the same path"),
        ({"spec": "GCONV[C4]+GCONV[p4]"}, SpecError, "the same path"),
        ({"spec": "GCONV[e]"}, SpecError, r"GCONV\[e\] is CONV: write CONV"),
        ({"spec": "GCONV[x]"}, SpecError, "'x' is no subgroup of p4m: write one of 'p1', 'p2'"),
        ({"spec": "GCONV[p1]"}, SpecError, "write CONV"),
        ({"spec": "GCONV[p4"}, SpecError, r"'GCONV\[p4' is not a path"),
        (
            {"spec": "CONV[p4]"},
            SpecError,
            r"'CONV\[p4\]' is not a path.* STEER may name a subgroup",
        ),
        ({"spec": "GCONV[C3]"}, SpecError, "'C3' is no subgroup of p4m"),
        ({"groups": []}, SpecError, r"groups=\[\] is empty"),
        ({"groups": "p4"}, SpecError, r"groups='p4' must be a list of subgroups"),
        ({"groups": [groups.cyclic(3)]}, GroupError, "C3 does not fit into p4m"),
        (
            {"groups": [groups.from_permutations([(1, 0, 2)])]},
            GroupError,
            "fits in 5 ways into p4m",
        ),
    ],
)
def test_errors(options, error, match):
    with pytest.raises(error, match=match):
        rq.RelaxedLayer(FIELD, FIELD, **options)
