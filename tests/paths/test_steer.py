"""STEER: escnn's steerable filters as a path."""

import math

import numpy as np
import pytest
import torch

import relaxeq as rq
from relaxeq import groups
from relaxeq.errors import GroupError, SpecError
from relaxeq.fields import Field
from relaxeq.paths import SteerConv, escnn_bridge, subgroup_name
from relaxeq.sites import listening

gspaces, nn = escnn_bridge.load()
SPACES = {
    "C3": lambda: gspaces.rot2dOnR2(3),
    "C6": lambda: gspaces.rot2dOnR2(6),
    "C8": lambda: gspaces.rot2dOnR2(8),
    "D3": lambda: gspaces.flipRot2dOnR2(3),
    "p4": lambda: gspaces.rot2dOnR2(4),
    "p4m": lambda: gspaces.flipRot2dOnR2(4),
    "pm": lambda: gspaces.flip2dOnR2(),
}
REPS = [("regular", "regular"), ("trivial", "regular"), ("regular", "trivial")]


def fields(name, reps, channels=(2, 3), size=(5, 5)):
    planar = groups.planar(name)
    return [Field(planar, c, size, rep=rep) for c, rep in zip(channels, reps, strict=True)]


def steer(name, reps=REPS[0], spec="STEER", **options):
    layer = rq.RelaxedLayer(*fields(name, reps), spec, bias=False, **options)
    return layer, layer.paths[spec]


def r2conv(name, reps, channels=(2, 3), kernel_size=3, bias=False):
    space = SPACES[name]()
    kinds = [
        nn.FieldType(space, [getattr(space, f"{rep}_repr")] * c)
        for c, rep in zip(channels, reps, strict=True)
    ]
    return nn.R2Conv(
        *kinds, kernel_size, padding=kernel_size // 2, padding_mode="circular", bias=bias
    )


@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("reps", REPS)
@pytest.mark.parametrize("name", SPACES)
def test_agrees_with_r2conv_of_equal_weights(name, reps, kernel_size):
    layer, path = steer(name, reps, kernel_size=kernel_size)
    truth = r2conv(name, reps, kernel_size=kernel_size)
    assert path.theta.numel() == truth.weights.numel()
    with torch.no_grad():
        path.theta.copy_(truth.weights.view_as(path.theta))
    x = layer.source.random(2)
    expected = truth(nn.GeometricTensor(x, truth.in_type)).tensor
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("reps", REPS)
@pytest.mark.parametrize("name", ["p4", "p4m", "pm", "pmm"])
def test_exact_where_the_group_keeps_the_grid(name, reps, float64):
    source, target = fields(name, reps)
    for part in source.group.point_group.subgroups()[1:]:
        layer = rq.RelaxedLayer(source, target, f"STEER[{subgroup_name(part)}]", bias=False)
        x = source.random(2)
        for h in range(source.group.point_group.order):
            a = source.group.element(shift=(1, 2), point=h)
            moved, y = layer(source.act(a, x)), target.act(a, layer(x))
            assert torch.allclose(moved, y, atol=1e-12) == (h in part.embedding)


@pytest.mark.parametrize("name", ["C8", "C12"])
def test_quarter_turns_of_a_finer_group_are_exact(name, float64):
    layer, _ = steer(name)
    order = layer.source.group.point_group.order

    def turn(x):
        """The action of the quarter turn: pixels by rot90, orientation k to k + order/4."""
        split = torch.rot90(x, 1, (-2, -1)).unflatten(1, (-1, order))
        return split.roll(order // 4, 2).flatten(1, 2)

    x = layer.source.random(2)
    torch.testing.assert_close(layer(turn(x)), turn(layer(x)))


@pytest.mark.parametrize("name", ["C3", "C6", "C8", "D6", "D8"])
def test_nearly_equivariant_on_smooth_images(name, float64):
    """A Gaussian blob turned by the group gives turned features, but for errors of sampling."""
    planar, n = groups.planar(name), 41
    source, target = Field(planar, 1, (n, n), rep="trivial"), Field(planar, 2, (n, n))
    layer = rq.RelaxedLayer(source, target, "STEER", bias=False, kernel_size=5)
    rows, columns = torch.meshgrid(
        *[torch.arange(n, dtype=torch.float64) - n // 2] * 2, indexing="ij"
    )

    def blob(centre):
        return torch.exp(-((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2) / 18)[None, None]

    def at(y, centre):
        """Features at a point by the Fourier series of the periodic map, exact for smooth ones."""
        spectrum = torch.fft.fft2(y)
        frequencies = torch.fft.fftfreq(n, dtype=torch.float64) * 2j * math.pi
        wave = [torch.exp(frequencies * (p + n // 2)) for p in centre]
        return torch.einsum("...hw,h,w->...", spectrum, *wave).real / n**2

    point = planar.point_group
    centre, probe = np.array([3.0, 5.0]), np.array([5.5, 4.0])
    y = at(layer(blob(centre)), probe)[0].unflatten(0, (2, -1))
    for h in range(point.order):
        matrix = point.matrices[h]
        moved = at(layer(blob(matrix @ centre)), matrix @ probe)[0].unflatten(0, (2, -1))
        found = moved[:, list(point.mul[h])]  # ρ(h) sends orientation k to h k
        assert (found - y).norm() < 0.1 * y.norm()


@pytest.mark.parametrize("spec", ["STEER", "STEER[C3]", "STEER[pm]", "STEER[{e, rs}]"])
@pytest.mark.parametrize("reps", REPS)
def test_sites_give_gradients_and_grams(reps, spec, float64):
    layer, path = steer("D6", reps, spec)
    assert isinstance(path, SteerConv)
    x, calls = layer.source.random(2), []
    with listening(lambda module, name, a, z: calls.append((name, a, z))):
        y = path(x)
    [(name, a, z)] = calls
    g = torch.randn_like(y)
    (truth,) = torch.autograd.grad(y, path.theta, g)
    site = path.sites()[name]
    found = site.flat_from_blocks(site.sample_gradients(a, g).sum(0))
    torch.testing.assert_close(found, truth.flatten())
    for layout, tensor in ((site.inputs, a), (site.outputs, g)):
        rows = layout.expand(tensor)
        gram = torch.einsum("nbsi,nbsj->bij", rows, rows)
        torch.testing.assert_close(layout.gram(tensor), gram)
        assert layout.shared(tensor) == rows.shape[2]
    sheets = 1 if reps[1] == "trivial" else path.part.order
    assert site.inputs.shared(a) == sheets * 25


def test_shapes():
    _, path = steer("C8")
    assert path.theta.shape == (3, 2 * 48)
    assert path.symmetry == "Z2 ⋊ C8"
    _, half = steer("C8", spec="STEER[p4]")
    assert half.theta.shape == (3 * 2, 2 * 2 * 24)


def test_initial_scale():
    source, target = fields("C8", REPS[0], channels=(32, 32))
    layer = rq.RelaxedLayer(source, target, "STEER", bias=False)
    mean = layer(source.random(8)).detach().square().mean().item()
    assert mean == pytest.approx(2.0, rel=0.15)


def test_relaxed_like_the_rest(float64):
    source, target = fields("C8", REPS[0])
    layer = rq.RelaxedLayer(source, target, "F-FC", groups=[groups.point_group("C8"), "p4", "C1"])
    assert list(layer.paths) == ["F-FC", "STEER[C8]", "GCONV[p4]", "CONV"]
    for label in ("F-FC", "CONV"):
        layer.paths[label].prior_variance = 0.0
    layer.sample_prior_()
    on = [layer.paths[label] for label in ("STEER[C8]", "GCONV[p4]")]
    x = source.random(2)
    torch.testing.assert_close(layer(x), layer.bias(on[0](x) + on[1](x)))
    net = torch.nn.Sequential(layer, torch.nn.Flatten(), torch.nn.Linear(target.dim, 2))
    blocks = rq.kfac(net, [(x, torch.tensor([0, 1]))])
    assert "0.paths.STEER[C8].theta" in blocks


def test_stride():
    planar = groups.planar("C6")
    layer = rq.RelaxedLayer(Field(planar, 1, (6, 6)), Field(planar, 2, (3, 3)), "STEER", stride=2)
    assert layer(layer.source.random(2)).shape == (2, 12, 3, 3)


def test_errors():
    with pytest.raises(SpecError, match="STEER needs a point group"):
        rq.RelaxedLayer(*[Field(groups.Z2(), 1, (4, 4))] * 2, "STEER")
    with pytest.raises(GroupError, match="C8 does not map the square grid.*write STEER"):
        steer("C8", spec="GCONV")
    with pytest.raises(SpecError, match=r"STEER\[e\] is CONV: write CONV|no subgroup"):
        steer("C8", spec="STEER[e]")


@pytest.mark.parametrize("name", [*SPACES, "D6", "C1"])
def test_field_types_and_fields(name):
    planar = groups.planar(name)
    for rep in ("regular", "trivial"):
        field = Field(planar, 3, (4, 4), rep=rep)
        kind = escnn_bridge.field_type(field)
        assert kind.size == field.depth
        assert escnn_bridge.field_of(kind, (4, 4)) == field


@pytest.mark.parametrize("name", ["p4", "p4m", "pm", "C8", "D6"])
def test_elements_come_in_the_order_of_escnn(name):
    """ρ(g) of escnn's regular representation is that of the point group, element by element."""
    point = groups.point_group(name)
    space = escnn_bridge.gspace(point.as_subgroup(point))
    for g, element in zip(point.elements, space.fibergroup.elements, strict=True):
        np.testing.assert_allclose(space.regular_repr(element), point.regular(g), atol=1e-12)


def test_field_types_that_are_no_field():
    space = gspaces.rot2dOnR2(4)
    mixed = nn.FieldType(space, [space.regular_repr, space.trivial_repr])
    with pytest.raises(GroupError, match="mixes representations"):
        escnn_bridge.field_of(mixed, (4, 4))
    continuous = gspaces.rot2dOnR2(-1, maximum_frequency=2)
    with pytest.raises(GroupError, match="is not the plane with a finite point group"):
        escnn_bridge.field_of(nn.FieldType(continuous, [continuous.trivial_repr]), (4, 4))
    tilted = gspaces.flipRot2dOnR2(4, axis=0.1)
    with pytest.raises(GroupError, match="with its default axis"):
        escnn_bridge.field_of(nn.FieldType(tilted, [tilted.regular_repr]), (4, 4))
