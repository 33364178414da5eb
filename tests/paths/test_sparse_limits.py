"""σ² = 0 of sparse paths: off by anchors, stationary by lengthscales (Eq. 8, §3.2)."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import relaxeq as rq
from relaxeq import groups
from relaxeq.fields import Field
from relaxeq.paths import PositionConv, Sparse, SparseConv, SparseFC, Vectors
from relaxeq.paths.sparse.basis import EPSILON
from relaxeq.testing import assert_equivariant

Z2 = groups.Z2()
P4 = groups.semidirect(Z2, groups.p4())
PLAIN = Z2.point_group.subgroup([])


def draw_options(draw, prior, pairs):
    return Sparse(
        prior=prior,
        anchors=draw(st.none() | st.integers(1, 6)),
        design=draw(st.sampled_from(["grid", "halton"])),
        basis=draw(st.sampled_from(["exponential", "interpolating"])),
        omega=draw(st.floats(0.1, 3.0)),
        per_pair=pairs and draw(st.booleans()),
        learn_anchors=draw(st.booleans()),
    )


def draw_layer(data, spec, prior, planar=Z2, pairs=True, smallest=1):
    """A float64 layer of the spec on any grid, stride 1 or 2, weights drawn; and a generator."""
    draw = data.draw
    stride, height, width = (draw(st.integers(n, m)) for n, m in ((1, 2), (smallest, 5), (1, 5)))
    width = width if planar is Z2 else height
    source = Field(planar, draw(st.integers(1, 2)), (stride * height, stride * width))
    target = Field(planar, draw(st.integers(1, 2)), (height, width))
    chosen = draw_options(draw, prior, pairs)
    layer = rq.RelaxedLayer(source, target, spec, stride=stride, prior=chosen).double()
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    return layer.sample_prior_(generator).requires_grad_(False), generator


def random_input(layer, generator):
    return layer.source.random(2, generator, torch.float64)


def level(path, name):
    """The value of every function at ω = 0."""
    count = path.anchors(name).shape[-1] if name != "u" else path.bases["u"].shape[0]
    return 1.0 if path.options.basis == "exponential" else 1 / (count + EPSILON)


few = settings(max_examples=30)


@few
@given(st.data())
def test_anchors_without_variance_are_no_map(data):
    layer, generator = draw_layer(data, "S-FC+S-CONV", "anchors")
    x = random_input(layer, generator)
    alone = rq.RelaxedLayer(
        layer.source, layer.target, "S-CONV", stride=layer.stride, prior=layer.prior
    ).double()
    alone.paths["S-CONV"].load_state_dict(layer.paths["S-CONV"].state_dict())
    alone.bias.load_state_dict(layer.bias.state_dict())
    path = layer.paths["S-FC"]
    path.prior_variance = 0.0
    assert path.off
    torch.testing.assert_close(layer(x), alone(x))  # whatever weights it still has
    path.sample_prior_()
    assert not any(p.any() for name, p in path.named_parameters() if name in ("u1", "u2"))
    torch.testing.assert_close(path(x), torch.zeros_like(path(x)))
    assert_equivariant(layer, layer.source, layer.target)


@few
@given(st.data())
def test_layers_become_equivariant_where_anchors_have_no_variance(data):
    layer, _ = draw_layer(data, "S-FC+NS-CONV+S-CONV", "anchors", pairs=False)
    for name in ("S-FC", "NS-CONV"):
        layer.paths[name].prior_variance = 0.0
    assert_equivariant(layer, layer.source, layer.target)


@few
@given(st.data())
def test_lengthscales_without_variance_are_global_sums(data):
    """y(c', p') = Σ_c a(c', c) Σ_p x(c, p), the same at all p'."""
    layer, generator = draw_layer(data, "S-FC", "lengthscales")
    path, x = layer.paths["S-FC"], random_input(layer, generator)
    path.prior_variance = 0.0
    assert (path.symmetry, path.stationary, path.off) == ("Z2", True, False)
    y = path(x)
    everywhere = y[..., :1, :1].expand_as(y)  # but for how a product rounds its last columns
    torch.testing.assert_close(y, everywhere, rtol=1e-13, atol=1e-13)
    u1, u2 = (path.anchors(name).sum(-1) * level(path, name) for name in ("u1", "u2"))
    torch.testing.assert_close(y[..., 0, 0], torch.einsum("oc,oc,nc->no", u1, u2, x.sum((2, 3))))
    assert_equivariant(layer, layer.source, layer.target)


@few
@given(st.data())
def test_layers_become_equivariant_where_lengthscales_have_no_variance(data):
    layer, generator = draw_layer(data, "S-FC+S-CONV", "lengthscales")
    layer.paths["S-FC"].prior_variance = 0.0
    layer.sample_prior_(generator)
    assert layer.paths["S-FC"].omega.abs().max() == 0
    assert layer(random_input(layer, generator)).abs().max() > 0
    assert_equivariant(layer, layer.source, layer.target)


@few
@given(st.data())
def test_filters_that_depend_on_the_position_become_s_conv(data):
    """§3.2: without variance of the lengthscale the filter is the sum of those of all positions."""
    layer, generator = draw_layer(data, "NS-CONV", "lengthscales", pairs=False)
    path, x = layer.paths["NS-CONV"], random_input(layer, generator)
    path.prior_variance = 0.0
    assert (path.symmetry, path.off) == ("Z2", False)
    fine = layer.target.resized(layer.source.size)
    plain = SparseConv(layer.source, fine, 3, PLAIN).double()
    split = path.anchors("u").view(fine.depth, path.bases["u"].shape[0], layer.source.depth, -1)
    with torch.no_grad():
        plain.u.copy_(split.sum(1) * level(path, "u"))
    torch.testing.assert_close(path(x), plain(x))
    assert_equivariant(layer, layer.source, layer.target)


@settings(max_examples=15)
@given(st.data())
def test_group_filters_are_equivariant_for_every_lengthscale(data):
    layer, generator = draw_layer(data, "S-GCONV", "lengthscales", planar=P4, pairs=False)
    layer.paths["S-GCONV"].prior_variance = data.draw(st.floats(0.0, 4.0))
    layer.paths["S-GCONV"].sample_prior_(generator)
    assert_equivariant(layer, layer.source, layer.target)


@few
@given(st.data())
def test_relaxed_lengthscales_break_equivariance(data):
    layer, generator = draw_layer(data, "S-FC", "lengthscales", smallest=2)
    path, x = layer.paths["S-FC"], random_input(layer, generator)
    path.omega.fill_(1.0)
    assert path.symmetry == "none"
    y = path(x)
    assert (y - y[..., :1, :1]).norm() > 1e-6 * y.norm()


def test_groups_of_any_kind_become_global_sums(float64):
    group = groups.symmetric(3)
    source, target = Vectors(group.regular, 2), Vectors(group.regular, 3)
    path, x = SparseFC(source, target, options=Sparse("lengthscales")), source.random(2)
    assert path.symmetry == "none"
    path.prior_variance = 0.0
    assert path.symmetry == "S3"
    for g in group.elements:
        torch.testing.assert_close(path(source.act(g, x)), target.act(g, path(x)))
    assert path(x).norm() > 0


SQUARE = Field(Z2, 2, (4, 4))


@pytest.mark.parametrize(
    "path",
    [
        SparseFC(SQUARE, SQUARE, options=Sparse("lengthscales")),
        SparseConv(SQUARE, SQUARE, 3, PLAIN, options=Sparse("lengthscales")),
        PositionConv(SQUARE, SQUARE, 3, options=Sparse("lengthscales")),
    ],
    ids=lambda path: path.label,
)
def test_amplitudes_switch_the_path_off(path):
    path.amplitudes.prior_variance = 0.0
    assert path.off
    assert not path.stationary
    path.sample_prior_()
    assert not path(torch.randn(2, 2, 4, 4)).any()
