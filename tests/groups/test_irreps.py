"""Irreps: homomorphisms, irreducible, complete; escnn's own where escnn has the group."""

import numpy as np
import pytest

from relaxeq import groups
from relaxeq.errors import GroupError
from relaxeq.groups import bridge, irreps, tables

GROUPS = [
    groups.trivial(),
    groups.cyclic(2),
    groups.cyclic(5),
    groups.cyclic(6),
    groups.dihedral(1),
    groups.dihedral(2),
    groups.dihedral(4),
    groups.dihedral(5),
    groups.symmetric(3),
    groups.symmetric(4),
    groups.octahedral(),
    groups.icosahedral(),
    groups.full_octahedral(),
    groups.full_icosahedral(),
    groups.symmetric(5),
    groups.direct_product(groups.cyclic(3), groups.cyclic(3)),
    groups.direct_product(groups.cyclic(2), groups.dihedral(4)),
]


def words_out(mul, images):
    """The slow truth: every element by its word in the generators."""
    generators = tables.generators_of(mul)
    dim = images.shape[-1]
    listed = []
    for word in tables.words(mul, generators):
        matrix = np.eye(dim)
        for place in word:
            matrix = matrix @ images[place]
        listed.append(matrix)
    return np.array(listed)


def check(mul, found):
    order = len(mul)
    listed = [words_out(mul, images) for images in found]
    for m in listed:
        rng = np.random.default_rng(0)
        for i, j in rng.integers(order, size=(50, 2)):
            np.testing.assert_allclose(m[i] @ m[j], m[mul[i, j]], atol=1e-10)
        np.testing.assert_allclose(
            m @ m.transpose(0, 2, 1), [np.eye(len(m[0]))] * order, atol=1e-10
        )
    characters = np.array([np.trace(m, axis1=1, axis2=2) for m in listed])
    gram = characters @ characters.T / order
    types = np.diag(gram)
    np.testing.assert_allclose(gram, np.diag(types), atol=1e-8)
    assert set(types.round(6)) <= {1.0, 2.0, 4.0}
    assert sum(m.shape[1] ** 2 / t for m, t in zip(listed, types, strict=True)) == pytest.approx(
        order
    )
    np.testing.assert_allclose(characters[0], 1, atol=1e-10)
    # As many real irreps as classes of elements under conjugation and inversion.
    inv = tables.inverses_of(mul)
    classes = set()
    for g in range(order):
        conjugates = mul[mul[:, g], inv]
        classes.add(frozenset(conjugates.tolist()) | frozenset(inv[conjugates].tolist()))
    assert len(found) == len(classes)


@pytest.mark.parametrize("group", GROUPS, ids=repr)
def test_irreps(group):
    check(group.mul, [rho.images for rho in group.irreps])
    assert [rho.text for rho in group.irreps] == [f"irrep({i})" for i in range(len(group.irreps))]


@pytest.mark.parametrize("group", GROUPS, ids=repr)
def test_splitting_the_regular_representation(group):
    check(group.mul, irreps.split(group.mul))


def test_whole_numbers_come_out_whole():
    signs = groups.symmetric(5).irreps[:2]
    assert all(set(rho.images.ravel().tolist()) <= {1.0, -1.0} for rho in signs)
    assert signs[0].is_permutation


def test_an_unlucky_draw_is_seen_and_repeated(monkeypatch):
    class Constant:
        def normal(self, size):
            return np.ones(size)

    draws = iter([Constant(), np.random.default_rng(1)])
    monkeypatch.setattr(np.random, "default_rng", lambda seed: next(draws))
    mul = groups.symmetric(3).mul
    assert [images.shape[1] for images in irreps.split(mul)] == [1, 1, 2]
    assert next(draws, None) is None


def test_quaternions_have_an_irrep_of_quaternionic_type():
    i, j = np.kron([[0, -1], [1, 0]], np.eye(2)), np.kron([[1, 0], [0, -1]], [[0, -1], [1, 0]])
    Q8 = groups.from_matrices([i, j])
    assert Q8.order == 8
    check(Q8.mul, [rho.images for rho in Q8.irreps])
    assert [rho.dim for rho in Q8.irreps] == [1, 1, 1, 1, 4]
    assert len(groups.equivariant_basis(Q8.irrep(4), Q8.irrep(4))) == 4


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 8])
def test_cyclic_and_dihedral_irreps_are_escnns(n):
    escnn = bridge.load()
    for ours, theirs in (
        (groups.cyclic(n), escnn.cyclic_group(n)),
        (groups.dihedral(n), escnn.dihedral_group(n)),
    ):
        assert len(ours.irreps) == len(theirs.irreps())
        for rho, psi in zip(ours.irreps, theirs.irreps(), strict=True):
            for g, h in zip(ours.elements, theirs.elements, strict=True):
                np.testing.assert_allclose(rho(g), psi(h), atol=1e-12)


@pytest.mark.parametrize(
    "name", ["octahedral", "full octahedral", "icosahedral", "full icosahedral"]
)
def test_tables_of_the_polyhedral_groups_are_escnns(name):
    group = bridge._finite(bridge.Family(name, 0))
    elements = list(group.elements)
    table = bridge.polyhedral_table(name)
    for i, j in np.random.default_rng(0).integers(len(elements), size=(40, 2)):
        assert elements[table[i, j]] == elements[i] @ elements[j]


def test_an_irrep_that_is_not_there():
    with pytest.raises(
        GroupError, match=r"C4 has no irrep\(3\). It has 3, of dimensions \[1, 2, 1\]"
    ):
        groups.cyclic(4).irrep(3)
    with pytest.raises(GroupError, match=r"no irrep\(-1\)"):
        groups.cyclic(4).irrep(-1)
