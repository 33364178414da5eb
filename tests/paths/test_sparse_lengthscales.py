"""Lengthscales as parameters: prior groups, draws, and their curvature."""

import copy
import math

import pytest
import torch

import relaxeq as rq
from relaxeq import groups
from relaxeq.curvature import Pass, estimate
from relaxeq.fields import Field
from relaxeq.paths import PositionConv, Sparse, SparseCayley, SparseConv, SparseFC, Vectors
from relaxeq.recipe import prior_groups
from relaxeq.sites import listening

Z2 = groups.Z2()
P4 = groups.semidirect(Z2, groups.p4())
PLAIN = Z2.point_group.subgroup([])


def field(channels=2, size=(4, 4)):
    return Field(Z2, channels, size)


def test_draws():
    path = SparseFC(field(20), field(20), options=Sparse("lengthscales", per_pair=True))
    path.prior_variance, path.amplitudes.prior_variance = 9.0, 0.25
    path.sample_prior_(torch.Generator().manual_seed(0))
    assert path.omega.std().item() == pytest.approx(3.0, rel=0.15)
    assert path.amplitudes.u1.std().item() == pytest.approx(0.5, rel=0.1)
    assert path.size == 400
    assert path.amplitudes.size == 2 * 400 * 8
    again = copy.deepcopy(path)
    path.sample_prior_(torch.Generator().manual_seed(1))
    again.sample_prior_(torch.Generator().manual_seed(1))
    assert torch.equal(path.omega, again.omega)
    assert torch.equal(path.amplitudes.u2, again.amplitudes.u2)


def test_prior_groups():
    layer = rq.RelaxedLayer(field(), field(), "S-FC+S-CONV", prior="lengthscales")
    layer.paths["S-FC"].prior_variance = 0.0
    layer.paths["S-FC"].amplitudes.prior_variance = 0.5
    found = {group.name: (group.parameters, group.precision) for group in prior_groups(layer)}
    assert found == {
        "paths.S-FC": (("paths.S-FC.omega",), math.inf),
        "paths.S-FC.amplitudes": (
            ("paths.S-FC.amplitudes.u1", "paths.S-FC.amplitudes.u2"),
            2.0,
        ),
        "paths.S-CONV": (("paths.S-CONV.omega",), 1.0),
        "paths.S-CONV.amplitudes": (("paths.S-CONV.amplitudes.u",), 1.0),
        "bias": (("bias.value",), 1.0),
    }
    plain = rq.RelaxedLayer(
        field(), field(), "S-FC", prior=Sparse(learn_omega=True, learn_anchors=True), bias=False
    )
    (only,) = prior_groups(plain)
    assert only.parameters == ("paths.S-FC.u1", "paths.S-FC.u2")


def test_deterministic_parameters_are_no_part_of_a_draw():
    path = SparseFC(field(), field(), options=Sparse(learn_omega=True, learn_anchors=True))
    with torch.no_grad():
        path.omega.fill_(0.3)
        path.z1.add_(0.1)
    before = path.z1.clone()
    path.prior_variance = 0.0
    path.sample_prior_()
    assert torch.equal(path.z1, before)
    assert path.omega.item() == pytest.approx(0.3)
    path.reset_parameters()
    assert path.omega.item() == 1.0
    torch.testing.assert_close(path.z1.detach(), before - 0.1)


def whole(planar):
    return planar.point_group.as_subgroup(planar.point_group)


def oriented(pointwise):
    source = Field(P4, 2, (4, 4))
    return lambda options: SparseConv(
        source, source, 3, whole(P4), pointwise=pointwise, options=options
    )


REGULAR = Vectors(groups.symmetric(3).regular, 2)
PATHS = {
    "S-FC": lambda options: SparseFC(Field(Z2, 2, (4, 2)), Field(Z2, 3, (2, 1)), options=options),
    "S-CONV": lambda options: SparseConv(
        Field(Z2, 2, (3, 4)), Field(Z2, 3, (3, 4)), 3, PLAIN, options=options
    ),
    "NS-CONV": lambda options: PositionConv(field(), field(3), 3, options=options),
    "S-GCONV": oriented(False),
    "S-GCONV pointwise": oriented(True),
    "S-FC of a group": lambda options: SparseFC(REGULAR, REGULAR, options=options),
    "S-GCONV of a group": lambda options: SparseCayley(REGULAR, REGULAR, options=options),
}


@pytest.mark.parametrize("kind", ["exponential", "interpolating"])
@pytest.mark.parametrize("make", PATHS.values(), ids=PATHS)
def test_one_omega_has_its_exact_block(make, kind, around, batches):
    net = around(make(Sparse("lengthscales", basis=kind, omega=0.8)))
    truth, found = rq.exact_ggn(net, batches), rq.kfac(net, batches)
    assert set(found) == set(truth)
    assert truth["path.omega"].item() > 0
    torch.testing.assert_close(found["path.omega"].dense(), truth["path.omega"])


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("name", ["S-FC", "S-CONV", "NS-CONV", "S-GCONV"])
def test_recording_sees_every_derivative(name, pairs, around, batches):
    """Blocks summed from sites are the exact ones: ω(c', c) too, and those before and after it."""
    if pairs and name in ("NS-CONV", "S-GCONV"):
        pairs = False
    net = around(PATHS[name](Sparse("lengthscales", per_pair=pairs, learn_anchors=True)))
    with torch.no_grad():
        net.path.omega.add_(0.1 * torch.randn(net.path.omega.shape))
    truth = rq.exact_ggn(net, batches)
    found = estimate(net, batches, Pass(), "exact").blocks
    assert not any(name.startswith("path.z") for name in found)
    for parameter, block in found.items():
        torch.testing.assert_close(block.dense(), truth[parameter])


@pytest.mark.parametrize("name", ["S-FC", "S-CONV"])
def test_an_omega_per_pair_has_kronecker_blocks(name, around, batches):
    """Per output channel A ⊗ G/(N S) with A of ∂y/∂ω, from explicit derivatives."""
    net = around(PATHS[name](Sparse("lengthscales", per_pair=True)))
    block = rq.kfac(net, batches[:1])["path.omega"]
    x = torch.tanh(net.into(batches[0][0])).view(4, *net.path.in_shape).detach()

    def of_omega(omega):
        state = dict(net.path.named_parameters()) | {"omega": omega}
        return torch.func.functional_call(net.path, state, (x,))

    slopes = torch.autograd.functional.jacobian(of_omega, net.path.omega.detach()).flatten(2, 3)
    per_row = torch.stack([slopes[:, o, :, o] for o in range(3)], 1)  # (n, o, p, c)
    expected = torch.einsum("nopc,nopd->ocd", per_row, per_row)
    torch.testing.assert_close(block.inputs, expected)
    assert block.scale == 1 / (4 * per_row.shape[2])


def test_a_stationary_path_shows_no_omega(around, batches):
    net = around(PATHS["S-FC"](Sparse("lengthscales")))
    net.path.prior_variance = 0.0
    truth, found = rq.exact_ggn(net, batches), rq.kfac(net, batches)
    assert not found["path.omega"].dense().any()
    assert not truth["path.omega"].any()


@pytest.mark.parametrize("prior", ["anchors", "lengthscales"])
def test_recording_changes_no_output(prior, float64):
    path = PATHS["S-FC"](Sparse(prior))
    x = torch.randn(3, *path.in_shape)
    with listening(lambda module, name, a, z: None):
        y = path(x)
    torch.testing.assert_close(y, path(x), rtol=0, atol=1e-15)
