"""Restriction, induction, quotients and matrices of a user's own."""

import itertools
from inspect import unwrap

import numpy as np
import pytest

from relaxeq import groups
from relaxeq.errors import GroupError

S4, D4 = groups.symmetric(4), groups.dihedral(4)
PAIRS = [
    (group, part) for group in (S4, D4, groups.p4m()) for part in group.subgroups(conjugacy=True)
]
representation, permutation = unwrap(groups.representation), unwrap(groups.permutation)
change_of_basis = unwrap(groups.change_of_basis)


@pytest.mark.parametrize(("group", "part"), PAIRS, ids=str)
def test_restriction_is_the_same_matrices(group, part):
    rho = group.natural + group.irreps[-1]
    small = groups.restricted(rho, part)
    assert small.group == part.group
    for i, g in enumerate(part.embedding):
        np.testing.assert_allclose(small(i), rho(g), atol=1e-10)


@pytest.mark.parametrize(("group", "part"), PAIRS, ids=str)
def test_quotient_permutes_cosets(group, part):
    rho = groups.quotient(group, part)
    cosets = [frozenset(coset) for coset in part.left_cosets]
    assert rho.dim == part.index == len(set(cosets))
    for g in group.elements:
        expected = np.zeros((rho.dim, rho.dim))
        for i, coset in enumerate(cosets):
            moved = frozenset(int(group.mul[g.index, h]) for h in coset)
            expected[cosets.index(moved), i] = 1
        np.testing.assert_array_equal(rho(g), expected)


def test_quotient_by_nothing_and_by_everything():
    assert groups.quotient(D4, groups.trivial()) == D4.regular
    assert groups.quotient(D4, D4) == D4.trivial


@pytest.mark.parametrize(("group", "part"), PAIRS, ids=str)
def test_induction_obeys_frobenius(group, part):
    for sigma in part.group.irreps:
        big = groups.induced(sigma, part)
        assert big.dim == part.index * sigma.dim
        chi = groups.character(big)
        # The formula of induced characters, element by element.
        small = dict(zip(part.embedding, groups.character(sigma), strict=True))
        for g in range(group.order):
            conjugates = (group.mul[group.mul[group.inv[x], g], x] for x in range(group.order))
            formula = sum(small.get(int(y), 0.0) for y in conjugates) / part.order
            assert chi[g] == pytest.approx(formula, abs=1e-9)
        for g, h in itertools.product(group.elements[::3], group.elements[::5]):
            np.testing.assert_allclose(big(g) @ big(h), big(g @ h), atol=1e-10)
        # The coset of the identity comes first, and K acts on it by sigma itself.
        for i, k in enumerate(part.embedding):
            np.testing.assert_allclose(big(k)[: sigma.dim, : sigma.dim], sigma(i), atol=1e-10)
    assert groups.induced(part.group.trivial, part) == groups.quotient(group, part)


def test_permutation_representation():
    rho = groups.permutation(D4, [[1, 2, 3, 0], [3, 2, 1, 0]])
    assert rho(D4.elements[1])[:, 0].tolist() == [0, 1, 0, 0]
    by_elements = groups.permutation(D4, [np.argmax(rho(g), axis=0) for g in D4.elements])
    assert by_elements == rho


def test_matrices_of_a_users_own():
    rho = groups.representation(D4, [[[0, -1], [1, 0]], [[1, 0], [0, -1]]])
    assert rho == D4.natural
    assert groups.representation(D4, groups.matrices(rho)) == rho
    assert groups.character(rho).tolist() == [2, 0, -2, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: representation(D4, [np.eye(2), np.eye(3)]), "no finite square matrices of one"),
        (lambda: representation(D4, [[1, 2]]), "no finite square matrices of one size"),
        (lambda: representation(D4, [[[np.inf]], [[1]]]), "no finite square matrices"),
        (lambda: representation(D4, [[[1]]]), "images: 1 matrices, and the group has 2 generators"),
        (lambda: representation(D4, [[[1]], [[1]]], [[[1]]]), "derivatives: 1 matrices.* has 0"),
        (lambda: representation(D4, [[[2]], [[1]]]), r"rho\(r3\) rho\(r\) is not rho\(e\)"),
        (lambda: representation(D4, [[[-1j]], [[1]]]), "no finite square matrices"),
        (lambda: permutation(D4, [[1, 2, 0], [0, 1, 2]]), r"rho\(r3\) rho\(r\) is not rho\(e\)"),
        (lambda: permutation(D4, [[1, 1], [0, 1]]), "no permutations of one set"),
        (lambda: permutation(D4, "ab"), "no permutations of one set"),
        (lambda: permutation(D4, [[1, 0], [0, 1, 2]]), "no permutations of one set"),
        (
            lambda: change_of_basis(D4.natural, [[1, 1], [1, 1]]),
            r"\[\[1, 1\], \[1, 1\]\] is no invertible",
        ),
        (lambda: change_of_basis(D4.natural, np.eye(3)), "no invertible 2×2"),
        (lambda: groups.induced(D4.trivial, D4.subgroup([1])), "is of D4, not of D4{e, r, r2, r3}"),
        (lambda: groups.restricted(D4.regular, S4.subgroup([1])), "is a subgroup of S4, not of D4"),
        (lambda: groups.character(groups.SO2().natural), "SO2 is no finite group"),
        (
            lambda: representation(groups.SO3(), (), 2 * np.array(groups.SO3().algebra)),
            r"break a law of SO3, at the bracket of algebra\[0\] and algebra\[1\]",
        ),
        (
            lambda: representation(groups.O2(), [[[1]]], [[[1]]]),
            r"break a law of O2, at algebra\[0\] seen through discrete\[0\]",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(GroupError, match=message):
        call()
