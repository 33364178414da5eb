"""Lie groups: against escnn's matrices, random elements, and physics everyone knows."""

import itertools
import pickle
from inspect import unwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import block_diag, expm

from relaxeq import groups
from relaxeq.errors import GroupError
from relaxeq.groups import bridge, nullspace, schur

COMPACT = [groups.SO2(), groups.O2(), groups.SO3(), groups.O3()]
METRIC = np.diag([1.0, -1, -1, -1])
MatrixLieGroup = unwrap(groups.MatrixLieGroup)


def lorentz():
    """SO(1,3) by its six generators, boosts first."""
    generators = []
    for i in (1, 2, 3):
        boost = np.zeros((4, 4))
        boost[0, i] = boost[i, 0] = 1
        generators.append(boost)
    for i, j in ((2, 3), (3, 1), (1, 2)):
        turn = np.zeros((4, 4))
        turn[i, j], turn[j, i] = -1, 1
        generators.append(turn)
    return groups.MatrixLieGroup(generators, name="SO(1,3)")


def escnn_element(group, coefficients, flips):
    """The same element made by escnn's own products."""
    escnn = {"SO2": "so2", "O2": "o2", "SO3": "so3", "O3": "o3"}[group.name]
    theirs = getattr(bridge.load(), f"{escnn}_group")()
    if group.name == "SO2":
        return theirs.element(coefficients[0], "radians")
    if group.name == "O2":
        return theirs.element((0, coefficients[0]), "radians") @ theirs.element((flips, 0.0))
    matrix = expm(np.tensordot(np.asarray(coefficients), group.algebra, 1))
    return theirs.element(matrix if group.name == "SO3" else (flips, matrix), "MAT")


@settings(max_examples=40)
@given(
    st.sampled_from(range(4)),
    st.integers(0, 6),
    st.lists(st.floats(-3, 3), min_size=3, max_size=3),
    st.integers(0, 1),
)
def test_irreps_are_escnns(which, degree, coefficients, flips):
    group = COMPACT[which]
    g = group.exp(coefficients[: group.algebra_count])
    if group.discrete_elements and flips:
        g = g @ group.discrete_elements[0]
    theirs = escnn_element(group, coefficients, flips if group.discrete_elements else 0)
    for label in bridge.labels(group.name, degree):
        psi = theirs.group.irrep(*label)
        np.testing.assert_allclose(group.irrep(*label)(g), psi(theirs), atol=1e-9)


@pytest.mark.parametrize("group", COMPACT, ids=repr)
def test_elements(group):
    a, b, c = (group.random(seed) for seed in range(3))
    np.testing.assert_allclose((a @ b).matrix, a.matrix @ b.matrix, atol=1e-12)
    np.testing.assert_allclose((~a).matrix, np.linalg.inv(a.matrix), atol=1e-12)
    assert (a @ b) @ c == a @ (b @ c)
    assert a @ ~a == group.identity
    assert a != b
    assert hash(a @ ~a) == hash(group.identity)
    assert pickle.loads(pickle.dumps(group)) == group
    assert pickle.loads(pickle.dumps(a)) == a
    assert hash(pickle.loads(pickle.dumps(group))) == hash(group)
    assert group.identity != 1
    assert repr(group) == group.name
    assert repr(group.identity).startswith(f"{group.name}[1 ")


def test_discrete_generators_that_are_not_their_own_inverse():
    spiral = groups.MatrixLieGroup([np.eye(2)], [[[0, -1], [1, 0]]], name="scalings and turns")
    (turn,) = spiral.discrete_elements
    assert ~turn != turn
    assert ~turn @ turn == spiral.identity
    np.testing.assert_allclose((~turn).matrix, [[0, 1], [-1, 0]], atol=1e-12)


def test_groups_are_equal_by_their_generators():
    assert len(set(COMPACT)) == 4
    assert groups.SO2() == groups.MatrixLieGroup([[[0, -1], [1, 0]]])
    assert groups.SO2() != groups.MatrixLieGroup([[[0, -2], [2, 0]]])
    assert groups.SO2() != groups.cyclic(4)


@pytest.mark.parametrize("group", COMPACT, ids=repr)
def test_irreps_are_distinct_and_irreducible(group):
    first = list(itertools.islice(group.irreps(), 7))
    for i, rho in enumerate(first):
        assert rho.is_orthogonal
        for j, sigma in enumerate(first):
            count = len(groups.equivariant_basis(rho, sigma))
            two = group.name == "SO2" and i > 0
            assert count == ((2 if two else 1) if i == j else 0)


@pytest.mark.parametrize("group", COMPACT, ids=repr)
def test_schur_and_null_space_agree(group):
    v = group.natural
    low = list(itertools.islice(group.irreps(), 4))
    cases = [(v, v), (v @ v, v @ v), (v @ v @ v, v), (v, low[-1] + low[1]), (v @ low[-1], v @ v)]
    for rho, sigma in cases:
        by_irreps, plain = schur.basis(rho, sigma), nullspace.basis(rho, sigma)
        np.testing.assert_allclose(by_irreps, plain, atol=1e-7)
        for g in (group.random(seed, scale=2.0) for seed in range(4)):
            moved = np.einsum("ij,kjl->kil", sigma(g), plain)
            np.testing.assert_allclose(moved, np.einsum("kij,jl->kil", plain, rho(g)), atol=1e-8)


def test_vectors_in_space():
    v = groups.SO3().natural
    (cross,) = groups.equivariant_basis(v @ v, v)
    a, b = np.array([1.0, 2.0, -1.0]), np.array([0.5, 0.0, 3.0])
    np.testing.assert_allclose(np.abs(cross @ np.kron(a, b)), np.abs(np.cross(a, b)) / 6**0.5)
    (dot,) = groups.equivariant_basis(v @ v, groups.SO3().trivial)
    np.testing.assert_allclose(np.abs(dot @ np.kron(a, b)), [abs(a @ b) / 3**0.5])
    # A cross product of vectors is no vector once there are reflections.
    w = groups.O3().natural
    assert len(groups.equivariant_basis(w @ w, w)) == 0
    assert len(groups.equivariant_basis(w @ w, groups.O3().irrep(0, 1))) == 1


@pytest.mark.parametrize(("power", "count"), [(2, 1), (3, 1), (4, 3), (5, 6)])
def test_invariant_tensors_of_rotations(power, count):
    """Isotropic tensors of rank 2, 3, 4, 5: 1, 1, 3, 6 (Motzkin sums)."""
    v = groups.SO3().natural
    rho = v
    for _ in range(power - 1):
        rho = rho @ v
    assert len(groups.equivariant_basis(rho, groups.SO3().trivial)) == count


def test_the_lorentz_group():
    group = lorentz()
    v = group.natural
    (metric,) = groups.equivariant_basis(v @ v, group.trivial)
    np.testing.assert_allclose(np.abs(metric.reshape(4, 4)), np.abs(METRIC) / 2, atol=1e-9)
    np.testing.assert_allclose(metric.reshape(4, 4) / metric[0, 0], METRIC, atol=1e-9)
    # The metric lowers the index: it maps vectors to covectors.
    (lower,) = groups.equivariant_basis(v, v.dual)
    np.testing.assert_allclose(lower / lower[0, 0], METRIC, atol=1e-9)
    assert not v.is_orthogonal
    for g in (group.random(seed) for seed in range(3)):
        np.testing.assert_allclose(g.matrix.T @ METRIC @ g.matrix, METRIC, atol=1e-9)
        np.testing.assert_allclose(v.dual(g), np.linalg.inv(v(g)).T, atol=1e-9)


def test_special_linear_group_keeps_area():
    sl2 = groups.MatrixLieGroup([[[1, 0], [0, -1]], [[0, 1], [0, 0]], [[0, 0], [1, 0]]], name="SL2")
    v = sl2.natural
    (area,) = groups.equivariant_basis(v @ v, sl2.trivial)
    np.testing.assert_allclose(np.abs(area), [[0, 0.5**0.5, 0.5**0.5, 0]], atol=1e-9)
    assert area[0, 1] == pytest.approx(-area[0, 2])
    with pytest.raises(GroupError, match="known for SO2, O2, SO3 and O3, not for SL2"):
        sl2.irrep(1)
    assert list(sl2.irreps()) == []


def test_a_spinor_is_no_representation_of_rotations():
    slopes = np.array([[[0, -0.5], [0.5, 0]]])
    half = groups.Representation(groups.SO2(), np.zeros((0, 2, 2)), slopes, "half")
    with pytest.raises(GroupError, match="no representation of SO2: 2 of its 2 dimensions hold no"):
        schur.basis(half, groups.SO2().trivial + half)


J = np.array([[0.0, -1.0], [1.0, 0.0]])
SPIN = [
    np.kron(J, [[0, 1], [1, 0]]) / 2,
    np.kron(np.eye(2), J) / 2,
    np.kron(J, np.diag([1, -1])) / 2,
]
TORUS = MatrixLieGroup([block_diag(J, 0 * J), block_diag(0 * J, J)], name="T2")


@pytest.mark.parametrize(
    ("group", "images", "derivatives", "message"),
    [
        (groups.SO2(), [], [J / 2], r"of SO2, where exp\(\[6.28\]\) is 1: its image is not, by 2"),
        (groups.SO2(), [], [[[1.0]]], "of SO2, where exp"),
        (groups.SO2(), [], [(1 + 1e-6) * J], "of SO2, where exp"),
        (groups.SO3(), [], SPIN, r"of SO3, where exp\(\[6.28, 0, 0\]\) is 1"),
        (groups.O3(), [np.eye(4)], SPIN, "of O3, where exp"),
        (groups.O2(), [np.diag([1, -1])], [J / 2], "of O2, where exp"),
        (groups.O2(), [[[2.0]]], [[[0.0]]], r"where discrete\[0\] discrete\[0\] is 1.*by 3"),
        (groups.O3(), [2 * np.eye(3)], groups.SO3().algebra, r"discrete\[0\] is 1: its image is"),
        (MatrixLieGroup([2 * J], name="T"), [], [J], r"of T, where exp\(\[3.14\]\) is 1"),
        (TORUS, [], [J, J / 2], r"of T2, where exp\(\[0, 6.28\]\) is 1"),
        (MatrixLieGroup([J, J], name="T"), [], [J, 2 * J], r"at algebra\[0\], a sum of others"),
    ],
)
def test_what_is_one_in_the_group_is_one_in_its_image(group, images, derivatives, message):
    with pytest.raises(GroupError, match=message):
        groups.representation(group, images, derivatives)


@pytest.mark.parametrize("group", [*COMPACT, TORUS], ids=repr)
def test_loops_close_in_every_representation(group):
    assert len(group.loops) == group.algebra_count + group.generator_count
    rho = group.natural @ group.natural.dual + group.trivial
    for loop in group.loops:
        assert loop == group.identity
        np.testing.assert_allclose(rho(loop), np.eye(rho.dim), atol=1e-9)


def test_turns_that_do_not_close_are_no_loops():
    assert lorentz().loops[0].word == ((0.0, 0.0, 0.0, 2 * np.pi, 0.0, 0.0),)
    assert MatrixLieGroup([block_diag(J, 2**0.5 * J)]).loops == ()
    assert MatrixLieGroup([np.zeros((2, 2))]).loops == ()
    third, half = np.kron([[0, -1], [1, -1]], np.eye(1)), np.diag([1.0, -1.0])
    assert [len(w.word) for w in MatrixLieGroup([np.eye(2)], [third, half]).loops] == [3, 2]


def test_a_spinor_is_a_representation_of_its_covering_group():
    SU2 = MatrixLieGroup(SPIN, name="SU2")
    groups.representation(SU2, [], groups.SO3().algebra)
    assert len(groups.equivariant_basis(SU2.natural, SU2.natural)) == 4


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1.0, 300.0, 1e6])
@pytest.mark.parametrize(
    ("generators", "discrete", "maps", "invariants"),
    [
        ([[[1, 0], [0, -1]]], [[[0, 1], [1, 0]]], 1, 0),
        ([J], [], 2, 0),
        ([block_diag(J, 0 * J), block_diag(0 * J, J)], [], 4, 0),
        (groups.SO3().algebra, [], 1, 0),
    ],
)
def test_the_scale_of_generators_does_not_matter(scale, generators, discrete, maps, invariants):
    def bases(*scales):
        algebra = [c * np.asarray(a, float) for a, c in zip(generators, scales, strict=False)]
        v = MatrixLieGroup(algebra, discrete).natural
        return [groups.equivariant_basis(v, w) for w in (v, v.group.trivial)]

    for found, plain in zip(bases(scale, 1 / scale, 1.0), bases(1.0, 1.0, 1.0), strict=True):
        np.testing.assert_allclose(found, plain, atol=1e-9)
    assert [len(found) for found in bases(scale, 1.0, scale)] == [maps, invariants]


def test_any_generators_of_one_algebra_have_one_basis():
    mixed = np.random.default_rng(0).normal(size=(5, 3)) * [[1e6], [1.0], [1e-2], [1.0], [1.0]]
    v = MatrixLieGroup(np.tensordot(mixed, groups.SO3().algebra, 1)).natural
    w = groups.SO3().natural
    found, plain = (groups.equivariant_basis(r @ r, r) for r in (v, w))
    np.testing.assert_allclose(found, plain, atol=1e-9)


def test_maps_that_cannot_be_told_from_others():
    line = MatrixLieGroup([[[1.0]]], name="R")
    turn = groups.representation(line, [], [3e-6 * J])
    assert len(groups.equivariant_basis(turn, line.trivial)) == 0
    vague = groups.representation(line, [], [np.diag([5e-8, 1e-5, 1.0])])
    with pytest.raises(GroupError, match="leave 5e-08 of some and 1e-05 of others. Write"):
        groups.equivariant_basis(vague, line.trivial)


@pytest.mark.parametrize("group", COMPACT, ids=repr)
@pytest.mark.parametrize("scale", [1e2, 1e4, 1e6])
def test_badly_conditioned_bases(group, scale):
    v, d = group.natural, group.natural.dim
    w = groups.change_of_basis(v, np.diag(np.geomspace(1, scale, d)))
    assert len(groups.equivariant_basis(w, w)) == len(groups.equivariant_basis(v, v))
    assert len(groups.equivariant_basis(w @ v, w)) == len(groups.equivariant_basis(v @ v, v))
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(d, d)))[0]
    worse = groups.change_of_basis(w, turned)
    try:
        found = len(groups.equivariant_basis(worse, v))
    except GroupError as error:
        assert scale > 1e2  # noqa: PT017
        assert "too badly conditioned for float64" in str(error)  # noqa: PT017
    else:
        assert found == len(groups.equivariant_basis(v, v))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: groups.SO2().exp([1, 2]), "2 numbers for 1 generators of SO2"),
        (lambda: groups.SO2().natural(groups.SO3().identity), "is not an element of SO2"),
        (lambda: groups.SO2().identity @ groups.SO3().identity, "one is of SO2, the other of SO3"),
        (
            lambda: groups.SO3().irrep(-1),
            r"SO3 has no irrep\(-1,\). It has irrep\(0\), irrep\(1\), irr",
        ),
        (lambda: groups.O2().irrep(0, 1), r"O2 has no irrep\(0, 1\)"),
        (lambda: groups.O2().irrep(1), r"O2 has no irrep\(1,\)"),
        (lambda: groups.SO2().irrep(), r"SO2 has no irrep\(\)"),
        (lambda: MatrixLieGroup([]), "algebra: no generator"),
        (lambda: MatrixLieGroup([[1, 2]]), "is no list of finite square matrices"),
        (lambda: MatrixLieGroup([[[0, np.inf], [1, 0]]]), "is no list of finite square matrices"),
        (lambda: MatrixLieGroup("SO2"), "is no list of finite square matrices"),
        (lambda: MatrixLieGroup([[[0.0]]], [np.eye(2)]), "discrete: not all are invertible 1×1"),
        (lambda: MatrixLieGroup([[[0.0]]], [[[0.0]]]), "discrete: not all are invertible 1×1"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(GroupError, match=message):
        call()
