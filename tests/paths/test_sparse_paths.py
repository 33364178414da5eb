"""Sparse paths against their dense twins: matrices, curvature by the chain rule, scale, counts."""

import itertools

import pytest
import torch

import relaxeq as rq
from relaxeq import groups
from relaxeq.fields import Field
from relaxeq.paths import (
    CayleyConv,
    FactoredFC,
    GroupConv,
    PositionConv,
    Sparse,
    SparseCayley,
    SparseConv,
    SparseFC,
    Vectors,
    dense_weights,
)
from relaxeq.paths.sparse.anchors import filter_places, placed_anchors, torus_places
from relaxeq.testing import check_path

Z2 = groups.Z2()
P4 = groups.semidirect(Z2, groups.p4())
PMM = groups.semidirect(Z2, groups.pmm())

OPTIONS = {
    "anchors": Sparse(),
    "per pair": Sparse(per_pair=True),
    "interpolating": Sparse(basis="interpolating", anchors=3, design="halton"),
}


def whole(planar):
    return planar.point_group.as_subgroup(planar.point_group)


def group_conv(planar, part, reps=("regular", "regular"), pointwise=False, size=(4, 4)):
    """An S-GCONV and its dense twin, between 2 and 1 channels."""

    def make(kind, **more):
        source, target = Field(planar, 2, size, reps[0]), Field(planar, 1, size, reps[1])
        return kind(source, target, 3, part, pointwise=pointwise, **more)

    return make(SparseConv, options=Sparse()), make(GroupConv)


def twins(name):
    """A sparse path and the dense path that spans it, on grids that are not square."""
    a, b = Field(Z2, 2, (4, 6)), Field(Z2, 3, (4, 6))
    half = Field(Z2, 3, (2, 3))
    if name == "S-FC":
        return SparseFC(a, half), FactoredFC(a, half)
    if name == "S-FC of a group":
        x, y = Vectors(groups.symmetric(3).regular, 2), Vectors(groups.symmetric(3).regular, 1)
        return SparseFC(x, y), FactoredFC(x, y)
    if name == "S-GCONV of a group":
        x, y = Vectors(groups.symmetric(3).regular, 2), Vectors(groups.symmetric(3).regular, 1)
        return SparseCayley(x, y), CayleyConv(x, y)
    part = Z2.point_group.subgroup([])
    return SparseConv(a, b, 3, part), GroupConv(a, b, 3, part)


NAMES = ("S-FC", "S-CONV", "S-FC of a group", "S-GCONV of a group")
GCONVS = [
    (planar, part, reps, pointwise)
    for planar in (P4, PMM)
    for part in planar.point_group.subgroups(conjugacy=True)
    for reps in (("regular", "regular"), ("trivial", "regular"))
    for pointwise in (False, True)
]


def copy_weights(path, twin):
    names = {"u": "theta", "u1": "theta1", "u2": "theta2"}
    for name, weight in dense_weights(path).items():
        parameter = twin.get_parameter(names[name])
        with torch.no_grad():
            parameter.copy_(weight.reshape(parameter.shape))


@pytest.mark.parametrize("name", NAMES)
def test_matrix_is_that_of_the_dense_twin(name, float64):
    path, twin = twins(name)
    copy_weights(path, twin)
    torch.testing.assert_close(path.matrix(), twin.matrix())


@pytest.mark.parametrize(("planar", "part", "reps", "pointwise"), GCONVS)
def test_group_filters_are_those_of_the_dense_twin(planar, part, reps, pointwise, float64):
    path, twin = group_conv(planar, part, reps, pointwise)
    copy_weights(path, twin)
    torch.testing.assert_close(path.matrix(), twin.matrix())


def test_s_conv_is_its_formula(float64):
    path, _ = twins("S-CONV")
    anchors = placed_anchors(filter_places(3), 5, "grid")
    matrix = torch.zeros(3, 4, 6, 2, 4, 6)
    for (o, c, i, j), (di, dj) in itertools.product(
        itertools.product(range(3), range(2), range(4), range(6)),
        itertools.product((-1, 0, 1), repeat=2),
    ):
        for m, (zi, zj) in enumerate(anchors.z.tolist()):
            phi = torch.exp(torch.tensor(-((di - zi) ** 2 + (dj - zj) ** 2)))
            value = path.u[o, c, m].detach() * phi
            matrix[o, i, j, c, (i + di) % 4, (j + dj) % 6] += value
    torch.testing.assert_close(path.matrix(), matrix.reshape(72, 48))


def test_s_fc_is_its_formula(float64):
    path, _ = twins("S-FC")
    u1, u2 = path.u1.detach(), path.u2.detach()
    factors = []
    for u, size in ((u1, (2, 3)), (u2, (4, 6))):
        places = torus_places(size)
        anchors = placed_anchors(places, u.shape[2], "grid")
        squares = torch.from_numpy(places.squares(anchors.z, anchors.turns))
        factors.append(torch.einsum("ocj,jp->ocp", u, torch.exp(-squares)))
    matrix = torch.einsum("ocq,ocp->oqcp", *factors).reshape(18, 48)
    torch.testing.assert_close(path.matrix(), matrix)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_the_path_keeps_what_it_promises(options):
    a, b, half = Field(Z2, 2, (4, 6)), Field(Z2, 2, (4, 6)), Field(Z2, 2, (2, 3))
    check_path(SparseFC(a, half, options=options), a, half)
    check_path(SparseConv(a, b, 3, Z2.point_group.subgroup([]), options=options), a, b)
    if not options.per_pair:
        check_path(PositionConv(a, b, 3, options=options), a, b)


@pytest.mark.parametrize("pointwise", [False, True])
@pytest.mark.parametrize("part", range(2))
def test_group_filters_keep_what_they_promise(part, pointwise):
    parts = (whole(P4), P4.point_group.as_subgroup(groups.p2()))
    source, target = Field(P4, 2, (4, 4)), Field(P4, 1, (4, 4))
    check_path(SparseConv(source, target, 3, parts[part], pointwise=pointwise), source, target)


def test_group_paths_commute(float64):
    group = groups.dihedral(3)
    source, target = Vectors(group.regular, 2), Vectors(group.regular, 3)
    path, x = SparseCayley(source, target), source.random(4)
    for g in group.elements:
        torch.testing.assert_close(path(source.act(g, x)), target.act(g, path(x)))
    assert path.symmetry == "D3"


def nets(around, path, twin):
    copy_weights(path, twin)
    sparse, dense = around(path), around(twin)
    dense.into.load_state_dict(sparse.into.state_dict())
    dense.out.load_state_dict(sparse.out.state_dict())
    return sparse, dense


def projections(path):
    """Per parameter of the dense twin: of the sparse path, and ∂θ/∂u as a matrix (P_θ, P_u)."""
    names = {"u": "theta", "u1": "theta1", "u2": "theta2"}
    for name, phi in path.functions().items():
        blocks = torch.block_diag(*[phi.detach().mT] * (path.pairs[0] * path.pairs[1]))
        yield name, names[name], blocks


ALL_TWINS = {name: lambda name=name: twins(name) for name in NAMES} | {
    "full p4": lambda: group_conv(P4, whole(P4)),
    "full p2": lambda: group_conv(P4, P4.point_group.as_subgroup(groups.p2())),
    "lifting": lambda: group_conv(P4, whole(P4), ("trivial", "regular")),
    "pointwise p4": lambda: group_conv(P4, whole(P4), pointwise=True),
    "pointwise p2": lambda: group_conv(P4, P4.point_group.as_subgroup(groups.p2()), pointwise=True),
}


@pytest.mark.parametrize("make", ALL_TWINS.values(), ids=ALL_TWINS)
def test_curvature_follows_the_chain_rule(make, around, batches):
    """H_u = (∂θ/∂u)ᵀ H_θ ∂θ/∂u for the exact matrix and for KFAC's (App. C.2)."""
    path, twin = make()
    sparse, dense = nets(around, path, twin)
    exact, exact_dense = rq.exact_ggn(sparse, batches), rq.exact_ggn(dense, batches)
    found, found_dense = rq.kfac(sparse, batches), rq.kfac(dense, batches)
    for name, twin_name, slope in projections(path):
        of_u, of_theta = f"path.{name}", f"path.{twin_name}"
        torch.testing.assert_close(exact[of_u], slope.mT @ exact_dense[of_theta] @ slope)
        projected = slope.mT @ found_dense[of_theta].dense() @ slope
        torch.testing.assert_close(found[of_u].dense(), projected)


LAYOUTS = ALL_TWINS | {
    "S-FC, a ω per pair": lambda: (
        SparseFC(Field(Z2, 2, (3, 2)), Field(Z2, 3, (2, 2)), options=Sparse(per_pair=True)),
        None,
    ),
    "S-CONV, a ω per pair": lambda: (
        SparseConv(
            Field(Z2, 2, (3, 4)),
            Field(Z2, 3, (3, 4)),
            3,
            Z2.point_group.subgroup([]),
            options=Sparse(per_pair=True),
        ),
        None,
    ),
    "NS-CONV": lambda: (PositionConv(Field(Z2, 2, (3, 4)), Field(Z2, 3, (3, 4)), 3), None),
}


@pytest.mark.parametrize("make", LAYOUTS.values(), ids=LAYOUTS)
def test_sites_give_gradients_and_grams(make, recorded, float64):
    path, _ = make()
    if path.options.per_pair:
        with torch.no_grad():
            path.omega.uniform_(0.3, 1.5)
    y, calls = recorded(path, torch.randn(3, *path.in_shape))
    cotangent = torch.randn_like(y)
    for name, site in path.sites().items():
        (x, z), parameter = calls[name], path.get_parameter(name)
        g, expected = torch.autograd.grad(y, [z, parameter], cotangent, retain_graph=True)
        found = site.flat_from_blocks(site.sample_gradients(x, g).sum(0))
        torch.testing.assert_close(found, expected.flatten())
        for layout, tensor in ((site.inputs, x), (site.outputs, g)):
            rows = layout.expand(tensor)
            torch.testing.assert_close(
                layout.gram(tensor), torch.einsum("nbsi,nbsj->bij", rows, rows)
            )
            assert layout.shared(tensor) == rows.shape[2]


@pytest.mark.parametrize("kind", ["exponential", "interpolating"])
@pytest.mark.parametrize("gain", [1.0, 3.0])
def test_initial_scale_for_rectified_inputs(kind, gain):
    options = Sparse(basis=kind)
    a, wide = Field(P4, 16, (8, 8)), Vectors(groups.dihedral(4).regular, 64)
    paths = [
        SparseFC(a, a, options=options),
        SparseConv(a, a, 3, P4.point_group.subgroup([]), options=options),
        SparseConv(a, a, 3, whole(P4), pointwise=True, options=options),
        PositionConv(a, a, 3, options=options),
        SparseCayley(wide, wide, options=options),
    ]
    for path in paths:
        path.reset_parameters(gain)
        x = torch.randn(32, *path.in_shape).relu()
        ratio = path(x).square().mean() / x.square().mean()
        assert ratio.item() == pytest.approx(gain**2, rel=0.35)


def test_weights_start_as_dense_ones_in_the_span(float64):
    """E wᵀw = σ² QᵀQ, the projection on the span: no direction starts larger than another."""
    wide = Field(Z2, 60, (3, 4))
    path = SparseConv(wide, wide, 3, Z2.point_group.subgroup([]))
    s = dense_weights(path)["u"].flatten(0, 1)
    q = torch.linalg.svd(path.functions()["u"], full_matrices=False)[2]
    found = s.mT @ s / len(s)
    expected = q.mT @ q * (found.trace() / 5)
    torch.testing.assert_close(found, expected, atol=0.08 * float(found.diagonal().max()), rtol=0)


def test_factors_start_with_equal_norms():
    path = SparseFC(Field(Z2, 20, (8, 8)), Field(Z2, 20, (4, 4)))
    assert path.u1.norm().item() == pytest.approx(path.u2.norm().item(), rel=0.05)


@pytest.mark.parametrize(
    ("make", "shapes"),
    [
        (lambda: twins("S-FC")[0], {"u1": (3, 2, 3), "u2": (3, 2, 12)}),
        (lambda: twins("S-CONV")[0], {"u": (3, 2, 5)}),
        (lambda: group_conv(P4, whole(P4))[0], {"u": (1, 2, 18)}),
        (lambda: group_conv(P4, whole(P4), pointwise=True)[0], {"u": (1, 2, 5)}),
        (lambda: group_conv(P4, whole(P4), ("trivial", "regular"))[0], {"u": (1, 2, 5)}),
        (lambda: group_conv(P4, P4.point_group.subgroup([]))[0], {"u": (4, 8, 5)}),
        (lambda: twins("S-GCONV of a group")[0], {"u": (1, 2, 3)}),
    ],
)
def test_parameters(make, shapes):
    found = {name: tuple(p.shape) for name, p in make().named_parameters()}
    assert found == shapes


def test_learned_locations_add_two_numbers_per_anchor():
    a = Field(Z2, 2, (4, 4))
    options = Sparse(learn_anchors=True)
    conv = SparseConv(a, a, 3, Z2.point_group.subgroup([]), options=options)
    assert tuple(conv.z.shape) == (5, 2)
    full = SparseFC(a, a, options=options)
    assert tuple(full.z1.shape) == tuple(full.z2.shape) == (8, 2)
    assert full.size == full.u1.numel() + full.u2.numel()  # z has no prior
    assert torch.equal(full.locations("u1"), full.z1)


@pytest.mark.parametrize(
    ("spec", "expected"), [("S-FC", 831_820), ("S-CONV", 237_050), ("S-FC+S-CONV", 958_970)]
)
def test_table_2(spec, expected):
    """0.8 M, 0.2 M and 1.0 M; a prior on lengthscales adds one ω to each path."""
    net = rq.models.PaperNet(spec)
    assert sum(p.numel() for p in net.parameters()) == expected
    other = rq.models.PaperNet(spec, prior="lengthscales")
    extra = 8 * len(spec.split("+"))
    assert sum(p.numel() for p in other.parameters()) == expected + extra
