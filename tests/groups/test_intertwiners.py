"""Bases of equivariant maps: against the average over the group, and solver against solver."""

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relaxeq import groups
from relaxeq.errors import GroupError
from relaxeq.groups import bridge, intertwiners, nullspace, orbits, schur
from relaxeq.groups.canonical import canonical_rows

NAMED = [
    groups.trivial(),
    groups.cyclic(4),
    groups.cyclic(5),
    groups.dihedral(3),
    groups.p4m(),
    groups.symmetric(4),
    groups.octahedral(),
    groups.direct_product(groups.cyclic(3), groups.cyclic(3)),
]
INDICES = st.integers(0, 2**16)


def drawn_group(seed):
    """A named group, or one that random permutations of at most five points generate."""
    if seed % 2:
        return NAMED[seed // 2 % len(NAMED)]
    rng = np.random.default_rng(seed)
    points = rng.integers(2, 6)
    return groups.from_permutations([rng.permutation(points).tolist() for _ in range(2)])


def skewed(rho, rng):
    """The same representation in a basis that is not orthonormal, yet well conditioned."""
    left, right = (np.linalg.qr(rng.normal(size=(rho.dim, rho.dim)))[0] for _ in range(2))
    return groups.change_of_basis(rho, left * rng.uniform(0.5, 2, size=rho.dim) @ right)


ATOMS = [
    lambda group, irrep, part, rng: irrep,
    lambda group, irrep, part, rng: irrep @ irrep,
    lambda group, irrep, part, rng: group.trivial + irrep,
    lambda group, irrep, part, rng: groups.quotient(group, part),
    lambda group, irrep, part, rng: skewed(irrep, rng),
    lambda group, irrep, part, rng: groups.induced(part.group.irreps[-1], part),
]


def drawn_representation(group, seed):
    """A sum of one or two random atoms."""
    rng = np.random.default_rng(seed)
    parts = []
    for kind in rng.integers(len(ATOMS), size=rng.integers(1, 3)):
        irrep = group.irreps[rng.integers(len(group.irreps))]
        part = group.subgroup([int(rng.integers(group.order))])
        parts.append(ATOMS[kind](group, irrep, part, rng))
    return sum(parts[1:], start=parts[0])


def average(rho_in, rho_out):
    """The slow truth: the projector (1/|G|) Σ_g ρ_out(g) ⊗ ρ_in(g)⁻ᵀ on vec(B), row-major."""
    total = np.zeros((rho_out.dim * rho_in.dim,) * 2)
    for g in rho_in.group.elements:
        total += np.kron(rho_out(g), rho_in(~g).T)
    return total / rho_in.group.order


def flat(basis):
    return basis.reshape(-1, basis.shape[1] * basis.shape[2])


def check(basis, rho_in, rho_out):
    rows = flat(basis)
    projector = average(rho_in, rho_out)
    scale = max(1.0, np.abs(projector).max())
    inner = np.mean(groups.character(rho_out) * groups.character(rho_in.dual))
    assert len(basis) == pytest.approx(inner, abs=1e-6)
    assert len(basis) == pytest.approx(np.trace(projector), abs=1e-6 * scale)
    np.testing.assert_allclose(rows @ rows.T, np.eye(len(rows)), atol=1e-10)
    np.testing.assert_allclose(rows @ projector.T, rows, atol=1e-8 * scale)


@given(INDICES, INDICES, INDICES)
def test_all_solvers_agree(group_seed, seed_in, seed_out):
    group = drawn_group(group_seed)
    rho_in, rho_out = drawn_representation(group, seed_in), drawn_representation(group, seed_out)
    if rho_in.dim * rho_out.dim > 200:
        rho_in = group.irreps[-1]
        rho_out = group.irreps[-1] + group.trivial
    basis = groups.equivariant_basis(rho_in, rho_out)
    check(basis, rho_in, rho_out)
    plain = nullspace.basis(rho_in, rho_out)
    np.testing.assert_allclose(plain, basis, atol=1e-7)
    if schur.applies(rho_in, rho_out):
        np.testing.assert_allclose(schur.basis(rho_in, rho_out), plain, atol=1e-8)
    if rho_in.is_permutation and rho_out.is_permutation:
        np.testing.assert_allclose(orbits.basis(rho_in, rho_out), plain, atol=1e-8)


@pytest.mark.parametrize("group", NAMED, ids=repr)
def test_regular_to_regular_is_the_group_algebra(group):
    basis = groups.equivariant_basis(group.regular, group.regular)
    assert len(basis) == group.order
    check(basis, group.regular, group.regular) if group.order < 10 else None
    # B_f[g, h] = f(h⁻¹ g): every basis matrix is constant where h⁻¹ g is.
    quotient = group.mul[group.inv].T
    for matrix in basis:
        values = [set(matrix[quotient == x].round(12)) for x in range(group.order)]
        assert all(len(v) == 1 for v in values)


@pytest.mark.parametrize("group", NAMED, ids=repr)
def test_a_basis_forgets_how_a_sum_was_written(group):
    written = group.irreps[-1] + group.regular + group.trivial + group.irreps[-1]
    again = [groups.representation(group, groups.matrices(written)), written @ group.trivial]
    found = []
    for rho in (written, *again):
        assert rho == written
        intertwiners._assembled.cache_clear()
        found.append(groups.equivariant_basis(rho, rho.group.trivial + group.regular))
    np.testing.assert_allclose(found[0], found[1], atol=1e-9)
    np.testing.assert_allclose(found[0], found[2], atol=1e-9)


@pytest.mark.parametrize("group", NAMED, ids=repr)
def test_schurs_lemma_itself(group):
    for i, rho in enumerate(group.irreps):
        for j, sigma in enumerate(group.irreps):
            basis = groups.equivariant_basis(rho, sigma)
            assert len(basis) in ((1, 2, 4) if i == j else (0,))
            assert basis.shape[1:] == (sigma.dim, rho.dim)


def test_translations_give_circulants():
    C6 = groups.cyclic(6)
    basis = groups.equivariant_basis(C6.regular, C6.regular)
    shifts = [np.roll(np.eye(6), k, axis=0) / np.sqrt(6) for k in range(6)]
    assert all(any(np.allclose(b, s) for s in shifts) for b in basis)


@pytest.mark.parametrize("group", [groups.icosahedral(), groups.full_icosahedral()], ids=repr)
def test_bases_wait_for_no_irreps_of_escnn(group, monkeypatch):
    """escnn's own of these groups take ten seconds."""
    monkeypatch.setattr(bridge, "irreps", None)
    v, w = group.natural, groups.change_of_basis(group.natural, np.diag([1.0, 2.0, 3.0]))
    for rho in (v, w):
        check(groups.equivariant_basis(rho @ v, v), rho @ v, v)
    big = v @ v @ v
    assert len(groups.equivariant_basis(big, big)) == round(np.mean(groups.character(v) ** 6))


@pytest.mark.parametrize("scale", [1e2, 1e4, 1e6, 1e8])
def test_badly_conditioned_bases(scale):
    v = groups.dihedral(4).natural
    w = groups.change_of_basis(v, np.diag([1.0, scale]))
    assert [len(groups.equivariant_basis(w, r)) for r in (w, v)] == [1, 1]
    turned = groups.change_of_basis(w, [[0.6, -0.8], [0.8, 0.6]])
    if scale < 1e4:
        assert len(groups.equivariant_basis(turned, v)) == 1
    if scale > 1e4:
        with pytest.raises(GroupError, match="rho: <D4.* is too badly conditioned for float64"):
            groups.equivariant_basis(turned, v)


def test_results_are_cached_on_values_and_read_only():
    rho = groups.dihedral(3).irrep(2) + groups.dihedral(3).regular
    again = groups.dihedral(3).irrep(2) + groups.dihedral(3).regular
    first, second = groups.equivariant_basis(rho, rho), groups.equivariant_basis(again, again)
    assert first is second
    with pytest.raises(ValueError, match="read-only"):
        first[...] = 0


def test_a_slow_basis_tells_its_time(caplog, monkeypatch):
    monkeypatch.setattr(intertwiners, "_SLOW", 0.0)
    intertwiners._assembled.cache_clear()
    with caplog.at_level(logging.WARNING):
        groups.equivariant_basis(groups.cyclic(7).regular, groups.cyclic(7).regular)
    assert "equivariant_basis of C7, 7×7, took" in caplog.text


@settings(max_examples=30)
@given(st.integers(1, 6), st.integers(0, 6), INDICES)
def test_the_canonical_basis_depends_on_the_space_alone(extra, rank, seed):
    rng = np.random.default_rng(seed)
    rows = np.linalg.qr(rng.normal(size=(rank + extra, rank)))[0].T
    turned = np.linalg.qr(rng.normal(size=(rank, rank)))[0] @ rows
    basis = canonical_rows(rows)
    np.testing.assert_allclose(basis, canonical_rows(turned), atol=1e-9)
    np.testing.assert_allclose(basis.T @ basis, rows.T @ rows, atol=1e-12)
    np.testing.assert_allclose(basis @ basis.T, np.eye(rank), atol=1e-12)


def test_bad_input():
    with pytest.raises(GroupError, match="rho_out: it is of C3, and rho_in of C4. Restrict both"):
        groups.equivariant_basis(groups.cyclic(4).regular, groups.cyclic(3).regular)
    big = groups.SO3().natural @ groups.SO3().natural @ groups.SO3().natural
    with pytest.raises(GroupError, match="27×729 unknowns are over 4096 at once"):
        nullspace.basis(big @ big, big)
