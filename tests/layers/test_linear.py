"""RelaxedLinear: sums of maps between representations of any group."""

import itertools

import numpy as np
import pytest
import torch

import relaxeq as rq
from relaxeq import groups
from relaxeq.errors import GroupError, ShapeError, SpecError
from relaxeq.paths import BasisMap, CayleyConv, Vectors
from relaxeq.sites import listening

S3, C3, D4, E = groups.symmetric(3), groups.cyclic(3), groups.dihedral(4), groups.trivial()
Q8 = groups.from_matrices(
    [
        [[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0]],
        [[0, 0, -1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, -1, 0, 0]],
    ],
    name="Q8",
)

# name: (rho_in, rho_out, groups)
CASES = {
    "S3": lambda: (S3.regular, S3.regular + 2 * S3.trivial, [S3, C3, E]),
    "S3 irreps": lambda: (S3.natural @ S3.natural, S3.irrep(2) + S3.irrep(1), [S3, C3, E]),
    "D4": lambda: (D4.natural, D4.regular, [D4, groups.cyclic(4), D4.subgroup([4]), E]),
    "Q8": lambda: (Q8.natural, Q8.regular, [Q8, Q8.subgroup([1]), E]),
    "cube": lambda: (groups.octahedral().natural, groups.octahedral().natural, ["O", "{g0, g3}"]),
}


def build(name, channels=(2, 3), **options):
    rho_in, rho_out, listed = CASES[name]()
    return rq.RelaxedLinear(rho_in, rho_out, channels, groups=listed, **options), listed


def commutes(layer, g, x):
    moved, y = layer(layer.source.act(g, x)), layer.target.act(g, layer(x))
    return torch.allclose(moved, y, atol=1e-11)


def subgroup_of(path, group):
    names = {rq.paths.subgroup_name(part): part for part in group.subgroups()}
    return names[path.symmetry].embedding


def test_the_contract(float64):
    layer = rq.RelaxedLinear(S3.regular, S3.regular, channels=(4, 8), groups=[S3, C3, E])
    assert list(layer.paths) == ["MAP[S3]", "MAP[C3]", "FC"]
    assert layer(torch.randn(5, 24)).shape == (5, 48)
    sizes = [path.size for path in layer.paths.values()]
    assert sizes == [4 * 8 * 6, 4 * 8 * 12, 4 * 8 * 36]


@pytest.mark.parametrize("name", CASES)
def test_each_path_commutes_with_its_group_and_no_more(name, float64):
    layer, _ = build(name)
    group, x = layer.source.rho.group, layer.source.random(2)
    for chosen in layer.paths.values():
        for path in layer.paths.values():
            path.prior_variance = 1.0 if path is chosen else 0.0
        layer.sample_prior_()
        named = layer.paths._modules.values()
        assert sum(path.off for path in named) == len(layer.paths) - 1
        kept = (0,) if chosen.symmetry == "none" else subgroup_of(chosen, group)
        for g in group.elements:
            assert commutes(layer, g, x) == (g.index in kept)


@pytest.mark.parametrize("name", CASES)
def test_the_matrix_lies_in_the_commutant_and_fills_it(name, float64):
    """Columns of ∂vec(W)/∂u, for each pair of channels, span the fixed space of ρ_out ⊗ ρ_in*."""
    layer, _ = build(name, channels=(1, 1))
    rho_in, rho_out = layer.source.rho, layer.target.rho
    for path in layer.paths.values():
        if not isinstance(path, BasisMap):
            continue
        span = []
        for i in range(path.theta.numel()):
            with torch.no_grad():
                path.theta.zero_().view(-1)[i] = 1.0
            span.append(path.matrix().flatten())
        span = torch.stack(span)
        torch.testing.assert_close(span @ span.mT, torch.eye(len(span)))
        mean = torch.zeros(rho_out.dim * rho_in.dim, rho_out.dim * rho_in.dim)
        kept = subgroup_of(path, rho_in.group)
        for h in kept:
            inverse = np.linalg.inv(rho_in(h))
            mean += torch.from_numpy(np.kron(rho_out(h), inverse.T)) / len(kept)
        torch.testing.assert_close(span.mT @ span, mean)


@pytest.mark.parametrize("name", CASES)
def test_layer_is_its_matrix(name, float64):
    layer, _ = build(name)
    x = layer.source.random(4)
    torch.testing.assert_close(layer(x), x @ layer.matrix().mT)
    total = sum(path(x) for path in layer.paths.values())
    torch.testing.assert_close(layer(x), total)


def test_order_of_channels(float64):
    """Entry i of channel c sits at c·dim + i: a map of one channel repeats along the diagonal."""
    rho = S3.natural
    path = rq.RelaxedLinear(rho, rho, (2, 2), "MAP").paths["MAP"]
    basis = groups.equivariant_basis(rho, rho)
    with torch.no_grad():
        path.theta.zero_().view(2, 2, -1)[1, 0, 0] = 1.0
    truth = torch.zeros(6, 6)
    truth[3:, :3] = torch.from_numpy(basis[0].copy())
    torch.testing.assert_close(path.matrix(), truth)


SPECS = ["FC", "F-FC", "MAP", "MAP[C3]", "GCONV", "F-FC+MAP+MAP[C3]+GCONV+FC"]


@pytest.mark.parametrize("spec", SPECS)
def test_sites_give_gradients_and_grams(spec, float64):
    layer = rq.RelaxedLinear(S3.regular, S3.regular, (2, 3), spec, bias=True)
    layer.sample_prior_()
    calls = {}
    x = layer.source.random(4)
    with listening(lambda module, name, a, z: calls.setdefault((module, name), (a, z))):
        y = layer(x)
    cotangent = torch.randn_like(y)
    modules = [*layer.paths.values(), layer.bias]
    owned = [(module, name) for module in modules for name in module.sites()]
    assert set(owned) == set(calls)
    for module, name in owned:
        site, (a, z) = module.sites()[name], calls[module, name]
        parameter = module.get_parameter(name)
        g, truth = torch.autograd.grad(y, (z, parameter), cotangent, retain_graph=True)
        found = site.flat_from_blocks(site.sample_gradients(a, g).sum(0))
        torch.testing.assert_close(found, truth.flatten())
        for layout, tensor in ((site.inputs, a), (site.outputs, g)):
            rows = layout.expand(tensor)
            torch.testing.assert_close(
                layout.gram(tensor), torch.einsum("nbsi,nbsj->bij", rows, rows)
            )
            assert layout.shared(tensor) == rows.shape[2]


def test_shape_of_the_site():
    """u (C', C·K): in = C·K, out = C', shared over the rows of ρ_out."""
    layer = rq.RelaxedLinear(S3.regular, S3.regular + S3.trivial, (2, 3), "MAP")
    site = layer.paths["MAP"].sites()["theta"]
    assert site.shape == (1, 3, 2 * 7)
    assert site.inputs.shared(layer.source.random(1)) == 7


def test_curvature(float64):
    layer = rq.RelaxedLinear(S3.regular, S3.trivial, (2, 3), "F-FC+MAP+FC", bias=True)
    loader = [(layer.source.random(6), torch.randint(3, (6,)))]
    blocks, truth = rq.kfac(layer, loader), rq.exact_ggn(layer, loader)
    for name in ("bias.value",):
        torch.testing.assert_close(blocks[name].dense(), truth[name])
    assert set(blocks) == set(truth)


def test_one_datum_is_exact_where_nothing_is_shared(float64):
    """ρ_out of dimension 1 has one position: KFAC of MAP is then exact for one datum."""
    layer = rq.RelaxedLinear(S3.natural, S3.trivial, (2, 3), "MAP")
    loader = [(layer.source.random(1), torch.tensor([1]))]
    found = rq.kfac(layer, loader)["paths.MAP.theta"].dense()
    torch.testing.assert_close(found, rq.exact_ggn(layer, loader)["paths.MAP.theta"])


@pytest.mark.parametrize(
    "group", [C3, S3, Q8, groups.direct_product(C3, groups.cyclic(2))], ids=str
)
def test_cayley_convolution(group, float64):
    source, target = Vectors(group.regular, 2), Vectors(group.regular, 3)
    path = CayleyConv(source, target)
    theta = path.theta.detach().view(3, 2, group.order)
    truth = torch.zeros(3, group.order, 2, group.order)
    for i, j in itertools.product(group.elements, repeat=2):
        truth[:, i.index, :, j.index] = theta[:, :, (~j @ i).index]
    torch.testing.assert_close(path.matrix(), truth.flatten(2).flatten(0, 1))
    x = source.random(2)
    for g in group.elements:
        torch.testing.assert_close(path(source.act(g, x)), target.act(g, path(x)))


def test_cayley_convolution_spans_the_equivariant_maps(float64):
    for group in (S3, Q8):
        source = Vectors(group.regular, 1)
        path = CayleyConv(source, source)
        span = []
        for i in range(group.order):
            with torch.no_grad():
                path.theta.zero_()[0, i] = 1.0
            span.append(path.matrix().flatten())
        basis = torch.from_numpy(groups.equivariant_basis(group.regular, group.regular).copy())
        rows = basis.flatten(1)
        assert len(rows) == group.order
        projected = torch.stack(span) @ rows.mT @ rows
        torch.testing.assert_close(projected, torch.stack(span))


def test_factored_residual_on_a_group(float64):
    """Σ_g θ(c', c, g', g) x(c, g) with θ = θ1(c', c, g') θ2(c', c, g) (App. A)."""
    layer = rq.RelaxedLinear(S3.regular, S3.regular, (2, 3), "F-FC")
    path = layer.paths["F-FC"]
    truth = torch.einsum("ocq,ocp->oqcp", path.theta1, path.theta2).flatten(2).flatten(0, 1)
    torch.testing.assert_close(layer.matrix(), truth.detach())


@pytest.mark.parametrize("spec", SPECS)
def test_initial_scale(spec):
    layer = rq.RelaxedLinear(S3.regular, S3.regular, (128, 64), spec)
    mean = layer(layer.source.random(64)).detach().square().mean().item()
    assert mean == pytest.approx(2.0, rel=0.15)


def test_bias_keeps_the_symmetry(float64):
    layer = rq.RelaxedLinear(S3.regular, S3.natural + S3.trivial, (2, 3), "MAP", bias=True)
    assert layer.bias.value.shape == (3, 2)
    layer.sample_prior_()
    x = layer.source.random(2)
    zero = torch.zeros_like(x)
    assert all(commutes(layer, g, x) for g in S3.elements)
    assert layer(zero).abs().min() > 0
    torch.testing.assert_close(layer(x) - layer(zero), x @ layer.matrix().mT)
    layer.reset_parameters()
    assert not layer(zero).any()


def test_double_precision_is_exact_after_a_move():
    """A layer made in float32 and moved keeps the float64 basis, not its rounded twin."""
    rho = S3.irrep(2)
    layer = rq.RelaxedLinear(rho, rho @ rho, (2, 2), "MAP").double()
    x = layer.source.random(2, dtype=torch.float64)
    assert all(commutes(layer, g, x) for g in S3.elements)


@pytest.mark.parametrize("group", [groups.SO2(), groups.SO3()], ids=str)
def test_lie_groups(group, float64):
    rho = group.irrep(1)
    layer = rq.RelaxedLinear(rho + group.trivial, rho @ rho, (2, 2), groups=[group, E])
    assert list(layer.paths) == ["MAP", "FC"]
    layer.paths["FC"].prior_variance = 0.0
    g = group.exp([0.3] * group.algebra_count)
    x = layer.source.random(3)
    assert commutes(layer, g, x)
    layer.paths["FC"].prior_variance = 1.0
    assert not commutes(layer, g, x)


def test_all_off_is_zero():
    layer = rq.RelaxedLinear(S3.regular, S3.regular, (2, 2))
    for path in layer.paths.values():
        path.prior_variance = 0.0
    assert torch.equal(layer(layer.source.random(2)), torch.zeros(2, 12))
    assert layer.spec == "MAP+FC"


def test_state_survives_a_round_trip(float64):
    layer, _ = build("S3")
    layer.paths["MAP[C3]"].prior_variance = 0.25
    other, _ = build("S3")
    other.load_state_dict(layer.state_dict())
    x = layer.source.random(2)
    assert torch.equal(layer(x), other(x))
    assert other.paths["MAP[C3]"].prior_variance == 0.25


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ((S3.regular, C3.regular), GroupError, "rho_out: it is of C3, rho_in of S3"),
        ((S3.regular, S3.regular, (1, 2, 3)), SpecError, r"channels=\(1, 2, 3\) must be two"),
        ((S3.regular, S3.regular, (0, 2)), SpecError, "channels=0 must be a positive integer"),
        (
            (S3.regular, S3.regular, (1, 1), "CONV"),
            SpecError,
            "'CONV' is not a path.*FC, F-FC, MAP",
        ),
        ((S3.regular, S3.regular, (1, 1), "MAP[e]"), SpecError, "write FC"),
        ((S3.regular, S3.natural, (1, 1), "GCONV"), GroupError, "GCONV convolves over a finite"),
        ((S3.irrep(1), S3.trivial, (1, 1), "MAP"), GroupError, "commutes with S3 but 0"),
        ((S3.regular, S3.regular, (1, 1), "MAP+MAP[S3]"), SpecError, "are the same path"),
    ],
)
def test_errors(arguments, error, match):
    with pytest.raises(error, match=match):
        rq.RelaxedLinear(*arguments)


@pytest.mark.usefixtures("unchecked")
def test_one_number_of_channels():
    with pytest.raises(SpecError, match=r"channels=2 must be two numbers \(in, out\)"):
        rq.RelaxedLinear(S3.regular, S3.regular, 2)


@pytest.mark.usefixtures("unchecked")
def test_channels_of_numpy():
    layer = rq.RelaxedLinear(S3.regular, S3.regular, (np.int64(2), 1))
    assert repr(layer) == repr(rq.RelaxedLinear(S3.regular, S3.regular, (2, 1)))
    with pytest.raises(SpecError, match="channels=True must be a positive integer"):
        rq.RelaxedLinear(S3.regular, S3.regular, (True, 1))


def test_a_bias_that_is_off_adds_nothing():
    layer = rq.RelaxedLinear(S3.regular, S3.regular, (2, 1), bias=True)
    torch.nn.init.ones_(layer.bias.value)
    x = layer.source.random(2)
    assert not torch.allclose(layer(x), x @ layer.matrix().mT)
    layer.bias.prior_variance = 0.0
    torch.testing.assert_close(layer(x), x @ layer.matrix().mT)


def test_wrong_input():
    layer = rq.RelaxedLinear(S3.regular, S3.regular, (2, 2))
    with pytest.raises(ShapeError, match=r"x must have shape \(batch, 12\)"):
        layer(torch.zeros(1, 13))
    with pytest.raises(ShapeError, match=r"x must be a floating tensor.*write x.float\(\)"):
        layer(torch.zeros(1, 12, dtype=torch.int64))
    with pytest.raises(ShapeError, match="x is torch.float64 on cpu, the layer is torch.float32"):
        layer(torch.zeros(1, 12, dtype=torch.float64))
    with pytest.raises(GroupError, match="does not fit into S3"):
        rq.RelaxedLinear(S3.regular, S3.regular, groups=[groups.cyclic(4)])
    with pytest.raises(GroupError, match="bias=True: .* has no invariant vector"):
        rq.RelaxedLinear(S3.regular, S3.irrep(1), spec="MAP", bias=True)
