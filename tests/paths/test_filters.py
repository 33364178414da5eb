"""Filters of GCONV: each against its formula, entry by entry, and its symmetry and site."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

import relaxeq as rq
from relaxeq import groups
from relaxeq.errors import GroupError, SpecError
from relaxeq.fields import Field
from relaxeq.paths import (
    FILTERS,
    Frame,
    GroupConv,
    Path,
    depthwise_separable_conv,
    separable_conv,
)

P4 = groups.semidirect(groups.Z2(), groups.p4())
P4M = groups.semidirect(groups.Z2(), groups.p4m())
PMM = groups.semidirect(groups.Z2(), groups.pmm())

MAKERS = {
    "full": lambda *place: GroupConv(*place),
    "pointwise": lambda *place: GroupConv(*place, pointwise=True),
    "separable": separable_conv,
    "depthwise-separable": depthwise_separable_conv,
}


PARTS = [
    (planar, part)
    for planar in (P4, P4M, PMM)
    for part in planar.point_group.subgroups(conjugacy=True)
]
PART_NAMES = [f"{planar}-{part}" for planar, part in PARTS]


def build(filters, planar, part, reps=("regular", "regular"), channels=(2, 3), size=(4, 4)):
    source = Field(planar, channels[0], size, rep=reps[0])
    target = Field(planar, channels[1], size, rep=reps[1])
    return MAKERS[filters](source, target, 3, part), source, target


def fill(path):
    """Every parameter, inner biases too, a standard normal."""
    with torch.no_grad():
        for parameter in path.parameters():
            parameter.normal_()
    return path


def turned(group, h, delta):
    """The offset R_h⁻¹ δ."""
    return tuple(int(v) for v in np.rint(group.matrices[h]).T.astype(int) @ np.array(delta))


def sheet_of(group, part, k):
    """(h, number of t) with k = h t."""
    for h, (i, t) in itertools.product(part.embedding, enumerate(part.right_transversal)):
        if group.mul[h, t] == k:
            return h, i
    raise AssertionError


def dense(filter_entry, source, target):
    """The circular convolution with W[c', k', c, k, δ] = filter_entry(…), by loops."""
    (height, width), out, in_ = source.size, target.orientations, source.orientations
    matrix = torch.zeros(*target.shape, *source.shape)
    offsets = list(itertools.product((-1, 0, 1), repeat=2))
    axes = [range(n) for n in (target.channels, out, source.channels, in_)]
    for c1, k1, c, k in itertools.product(*axes):
        for delta in offsets:
            entry = filter_entry(c1, k1, c, k, delta)
            for i, j in itertools.product(range(height), range(width)):
                row, column = (i + delta[0]) % height, (j + delta[1]) % width
                matrix[c1 * out + k1, i, j, c * in_ + k, row, column] += entry
    return matrix.reshape(target.dim, source.dim)


def pointwise_entry(path, source, target):
    group, part = source.group.point_group, path.part
    theta = path.theta.detach().view(target.channels, part.index, source.channels, -1, 3, 3)

    def entry(c1, k1, c, k, delta):
        (h1, t1), (h, t) = sheet_of(group, part, k1), sheet_of(group, part, k)
        i, j = turned(group, h, delta)
        return theta[c1, t1, c, t, i + 1, j + 1] if h1 == h else 0.0

    return entry


def spatial_filter(path, source):
    group, part = source.group.point_group, path.part
    theta = path.spatial.detach().view(source.channels, part.index, 3, 3)

    def entry(c, k, delta):
        h, t = sheet_of(group, part, k)
        i, j = turned(group, h, delta)
        return theta[c, t, i + 1, j + 1]

    return entry


def separable_entry(path, source, target):
    group, part = source.group.point_group, path.part
    spatial = spatial_filter(path, source)
    mix = path.mix.detach().view(target.channels, part.index, source.channels, group.order)

    def entry(c1, k1, c, k, delta):
        h, t = sheet_of(group, part, k1)
        return mix[c1, t, c, group.mul[group.inv[h], k]] * spatial(c, k, delta)

    return entry


def depthwise_entry(path, source, target):
    group, part = source.group.point_group, path.part
    spatial = spatial_filter(path, source)
    turn = path.turn.detach().view(source.channels, part.index, group.order)
    mix = path.mix.detach().view(target.channels, part.index, source.channels, part.index)

    def entry(c1, k1, c, k, delta):
        h, t1 = sheet_of(group, part, k1)
        middle = turn[c, :, group.mul[group.inv[h], k]]
        return mix[c1, t1, c] @ middle * spatial(c, k, delta)

    return entry


ENTRIES = {
    "pointwise": pointwise_entry,
    "separable": separable_entry,
    "depthwise-separable": depthwise_entry,
}


@pytest.mark.parametrize("filters", ENTRIES)
@pytest.mark.parametrize(("planar", "part"), PARTS, ids=PART_NAMES)
def test_matrix_is_the_formula(filters, planar, part, float64):
    if part.order == 1 and filters == "pointwise":
        filters = "separable"  # {e} leaves nothing pointwise: the full filter, tested elsewhere
    path, source, target = build(filters, planar, part, channels=(2, 1), size=(2, 2))
    truth = dense(ENTRIES[filters](fill(path), source, target), source, target)
    torch.testing.assert_close(path.matrix(), truth)


@pytest.mark.parametrize("filters", MAKERS)
@pytest.mark.parametrize("reps", list(itertools.product(("regular", "trivial"), repeat=2)))
@pytest.mark.parametrize(("planar", "part"), PARTS, ids=PART_NAMES)
def test_path_commutes_with_its_group(filters, reps, planar, part, float64):
    path, source, target = build(filters, planar, part, reps)
    fill(path)
    x = source.random(2)
    for h in part.embedding:
        a = planar.element(shift=(1, 3), point=planar.point_group.elements[h])
        torch.testing.assert_close(path(source.act(a, x)), target.act(a, path(x)))


@pytest.mark.parametrize("filters", MAKERS)
@pytest.mark.parametrize("planar", [P4, P4M], ids=str)
def test_path_breaks_what_it_does_not_state(filters, planar, float64):
    part = planar.point_group.as_subgroup(groups.p2())
    path, source, target = build(filters, planar, part)
    fill(path)
    x = source.random(2)
    for h in set(range(planar.point_group.order)) - set(part.embedding):
        a = planar.element(point=planar.point_group.elements[h])
        error = (path(source.act(a, x)) - target.act(a, path(x))).norm()
        assert error > 0.1 * path(x).norm()


@pytest.mark.parametrize("planar", [P4, P4M], ids=str)
@pytest.mark.parametrize("kind", ["pointwise", "separable"])
def test_a_trivial_source_is_its_lift(kind, planar, float64):
    part = planar.point_group.as_subgroup(planar.point_group)
    lifting, image, _ = build(kind, planar, part, ("trivial", "regular"))
    full, *_ = build("full", planar, part, ("trivial", "regular"))
    repeated, *_ = build(kind, planar, part)
    x = image.random(2)
    if kind == "pointwise":
        assert lifting.theta.shape == full.theta.shape == repeated.theta.shape
        full.load_state_dict(lifting.state_dict())
        torch.testing.assert_close(lifting(x), full(x))
    repeated.load_state_dict(fill(lifting).state_dict())
    lifted = x.repeat_interleave(planar.point_group.order, 1)
    torch.testing.assert_close(lifting(x), repeated(lifted))


def sizes(path):
    return {name: tuple(parameter.shape) for name, parameter in path.named_parameters()}


@pytest.mark.parametrize(
    ("filters", "whole", "half"),
    [
        ("full", {"theta": (3, 72)}, {"theta": (6, 72)}),
        ("pointwise", {"theta": (3, 18)}, {"theta": (6, 36)}),
        (
            "separable",
            {"spatial": (2, 9), "spatial_bias": (2,), "mix": (3, 8)},
            {"spatial": (4, 9), "spatial_bias": (2,), "mix": (6, 8)},
        ),
        (
            "depthwise-separable",
            {
                "spatial": (2, 9),
                "spatial_bias": (2,),
                "turn": (2, 4),
                "turn_bias": (2,),
                "mix": (3, 2),
            },
            {
                "spatial": (4, 9),
                "spatial_bias": (2,),
                "turn": (4, 4),
                "turn_bias": (2,),
                "mix": (6, 4),
            },
        ),
    ],
)
def test_parameters(filters, whole, half):
    for part, expected in ((groups.p4(), whole), (groups.p2(), half)):
        path, *_ = build(filters, P4, P4.point_group.as_subgroup(part))
        assert sizes(path) == expected


@pytest.mark.parametrize("filters", MAKERS)
@pytest.mark.parametrize("reps", list(itertools.product(("regular", "trivial"), repeat=2)))
@pytest.mark.parametrize(("planar", "part"), PARTS, ids=PART_NAMES)
def test_sites_give_gradients_and_grams(filters, reps, planar, part, recorded, float64):
    path, source, _ = build(filters, planar, part, reps, size=(4, 4))
    fill(path)
    y, calls = recorded(path, source.random(2))
    cotangent = torch.randn_like(y)
    names = list(dict(path.named_parameters()))
    assert set(path.sites()) == set(calls) == set(names)
    truth = torch.autograd.grad(
        y, [path.get_parameter(n) for n in names], cotangent, retain_graph=True
    )
    for name, expected in zip(names, truth, strict=True):
        site, (x, z) = path.sites()[name], calls[name]
        (g,) = torch.autograd.grad(y, z, cotangent, retain_graph=True)
        found = site.flat_from_blocks(site.sample_gradients(x, g).sum(0))
        torch.testing.assert_close(found, expected.flatten())
        for layout, tensor in ((site.inputs, x), (site.outputs, g)):
            rows = layout.expand(tensor)
            gram = torch.einsum("nbsi,nbsj->bij", rows, rows)
            torch.testing.assert_close(layout.gram(tensor), gram)
            assert layout.shared(tensor) == rows.shape[2]


@pytest.mark.parametrize("filters", MAKERS)
def test_positions_and_sheets_share_the_weight(filters, recorded):
    path, source, _ = build(filters, P4, P4.point_group.as_subgroup(P4.point_group))
    _, calls = recorded(path, source.random(1))
    for name, site in path.sites().items():
        expected = 1 if name.endswith("bias") else 4 * 16
        assert site.inputs.shared(calls[name][0]) == expected


@pytest.mark.parametrize("filters", MAKERS)
def test_initial_scale(filters):
    whole = P4.point_group.as_subgroup(P4.point_group)
    path, source, _ = build(filters, P4, whole, channels=(64, 64))
    path.reset_parameters(gain=3.0)
    assert path(source.random(16)).detach().square().mean().item() == pytest.approx(9.0, rel=0.3)


NAMES = {
    "C1": "Z2",
    "C2": "Z2 ⋊ p2",
    "C4": "Z2 ⋊ p4",
    "D1": "Z2 ⋊ pm",
    "D2": "Z2 ⋊ pmm",
    "D4": "Z2 ⋊ p4m",
}


@pytest.mark.parametrize("name", NAMES)
def test_symmetry_names_the_subgroup(name):
    part = P4M.point_group.as_subgroup(groups.point_group(name))
    assert build("full", P4M, part)[0].symmetry == NAMES[name]
    elements = P4M.point_group.elements
    diagonal = P4M.point_group.subgroup([elements[5]])
    assert build("full", P4M, diagonal)[0].symmetry == "Z2 ⋊ {e, rs}"


@pytest.mark.parametrize("filters", MAKERS)
def test_layers_take_filters(filters, float64):
    field = Field(P4, 2, (4, 4))
    layer = rq.RelaxedLayer(field, field, "F-FC+CONV+GCONV", filters=filters)
    assert layer.filters == filters
    direct, *_ = build(filters, P4, P4.point_group.as_subgroup(P4.point_group), channels=(2, 2))
    assert sizes(layer.paths["GCONV"]) == sizes(direct)
    assert sizes(layer.paths["CONV"]) == {"theta": (8, 8 * 9)}


def test_pointwise_is_the_default():
    field = Field(P4, 2, (4, 4))
    assert rq.RelaxedLayer(field, field, "GCONV").paths["GCONV"].theta.shape == (2, 18)
    assert Frame(field, field, 3).filters == "pointwise"


def test_errors():
    field = Field(P4, 2, (4, 4))
    with pytest.raises(SpecError, match=r"filters='dense' is not one of full, separable"):
        rq.RelaxedLayer(field, field, "GCONV", filters="dense")
    with pytest.raises(SpecError, match="filters='dense'"):
        rq.models.PaperNet("GCONV", group=P4, alpha=1, size=(8, 8), filters="dense")
    hexagon = Field(groups.planar("C6"), 2, (4, 4))
    with pytest.raises(GroupError, match="C6 does not map the square grid to itself"):
        rq.RelaxedLayer(hexagon, hexagon, "GCONV")


def test_grids_keep_what_subgroups_they_can(float64):
    """CONV and GCONV over a lattice subgroup are exact on fields of a group that is not."""
    planar = groups.planar("C8")
    field = Field(planar, 1, (4, 4))
    for part in (groups.trivial(), groups.p2(), groups.p4()):
        path = GroupConv(field, field, 3, planar.point_group.as_subgroup(part))
        assert path.theta.numel() == 8 * 8 * 9 // part.order
        weight = path.matrix().view(8, 16, 8, 16)
        for k in range(8):
            opposite = weight[(k + 4) % 8].flip(0)[:, (torch.arange(8) + 4) % 8].flip(2)
            assert torch.allclose(weight[k], opposite) == (part.order > 1)


TABLE_7 = [
    ("full", 10, 1_025_380),
    ("full", 6, 371_200),
    ("pointwise", 10, 338_770),
    ("separable", 10, 214_550),
    ("separable", 13, 358_463),
    ("depthwise-separable", 10, 139_725),
    ("depthwise-separable", 16, 346_215),
]


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize(("filters", "alpha", "expected"), TABLE_7)
def test_table_7(filters, alpha, expected):
    assert count(rq.models.PaperNet("GCONV", alpha=alpha, group=P4, filters=filters)) == expected


def test_table_3():
    net = rq.models.PaperNet("F-FC+CONV+GCONV", alpha=2, group=P4)
    assert count(net) == 1_235_122  # "1.2 M"


@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("planar", [P4, P4M], ids=str)
def test_networks_are_invariant(filters, planar, float64):
    net = rq.models.PaperNet("GCONV", 1, 3, 1, (8, 8), planar, filters)
    for module in net.modules():
        if isinstance(module, Path):
            fill(module)
    x = net.image.random(3)
    for h in planar.point_group.elements:
        a = planar.element(shift=(3, 5), point=h)
        torch.testing.assert_close(net(net.image.act(a, x)), net(x))


@pytest.mark.parametrize("filters", FILTERS)
def test_curvature_of_networks_runs(filters, float64):
    net = rq.models.PaperNet("F-FC+CONV+GCONV", 1, 3, 1, (8, 8), P4, filters)
    x, y = net.image.random(4), torch.tensor([0, 1, 2, 0])
    blocks = rq.kfac(net, [(x, y)])
    assert set(blocks) == set(dict(net.named_parameters()))
