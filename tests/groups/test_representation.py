"""Representations as values: arithmetic against NumPy, text there and back, clear refusals."""

import pickle
from inspect import unwrap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import block_diag

from relaxeq import groups
from relaxeq.errors import GroupError
from relaxeq.groups import Representation

D3 = groups.dihedral(3)
C4 = groups.cyclic(4)
S3 = groups.symmetric(3)
PERMUTED = groups.permutation(S3, [[0, 2, 1, 3], [1, 0, 2, 3]])
SWAP = np.eye(2)[::-1]
SKEWED = [[2.0, 1.0], [0.5, -1.0]]
CASES = [
    D3.trivial,
    D3.regular,
    D3.irrep(2),
    D3.natural,
    D3.regular + 2 * D3.trivial,
    2 * (D3.regular + D3.irrep(1)) @ D3.irrep(2),
    D3.irrep(2) @ (D3.irrep(1) + D3.irrep(2)),
    D3.irrep(1) + D3.irrep(2) @ D3.irrep(2),
    (D3.irrep(1) @ D3.irrep(2)) @ D3.irrep(2),
    groups.change_of_basis(D3.irrep(2), SKEWED),
    groups.change_of_basis(D3.irrep(2), SKEWED).dual,
    groups.quotient(D3, D3.subgroup([3])),
    groups.induced(
        D3.subgroup([1]).group.irrep(1) + D3.subgroup([1]).group.regular, D3.subgroup([1])
    ),
    groups.restricted(D3.irrep(2), D3.subgroup([3])),
    groups.restricted(D3.regular, D3.subgroup([])),
    PERMUTED,
    S3.natural @ PERMUTED,
    groups.p4().regular + groups.p4().natural,
    groups.SO2().irrep(3) + groups.SO2().natural,
    groups.O3().irrep(1, 2) @ groups.O3().natural,
    groups.SO3().trivial + 2 * groups.SO3().natural.dual,
    groups.representation(groups.SO2(), (), [[[0, -2], [2, 0]]]),
    groups.representation(groups.O2(), [[[-1]]], [[[0]]]),
]


@pytest.mark.parametrize("rho", CASES, ids=str)
def test_is_a_homomorphism(rho):
    finite = isinstance(rho.group, groups.FiniteGroup)
    drawn = rho.group.elements if finite else [rho.group.random(s) for s in range(4)]
    for g in drawn:
        for h in drawn:
            np.testing.assert_allclose(rho(g) @ rho(h), rho(g @ h), atol=1e-9)
        np.testing.assert_allclose(rho(g) @ rho(~g), np.eye(rho.dim), atol=1e-9)
        assert rho(g).shape == (rho.dim, rho.dim)
        assert rho(g).dtype == np.float64


@pytest.mark.parametrize("rho", CASES, ids=str)
def test_text_and_pickle_come_back(rho):
    for copy in (groups.parse(rho.group, str(rho)), pickle.loads(pickle.dumps(rho))):
        assert copy == rho
        assert hash(copy) == hash(rho)
        assert str(copy) == str(rho)
        assert [t.dim for t in copy.terms] == [t.dim for t in rho.terms]
    with pytest.raises(ValueError, match="read-only"):
        rho.images[...] = 0


def test_printed_forms():
    assert str(C4.regular + 2 * C4.trivial) == "regular + 2*trivial"
    assert repr(C4.regular + 2 * C4.trivial) == "<C4: regular + 2*trivial, dim 6>"
    long = groups.change_of_basis(S3.regular, np.diag([1, 2, 3, 4, 5, 6]))
    assert repr(long).startswith("<S3: change_of_basis(regular, [[1.0, 0.0,")
    assert repr(long).endswith("…0, 6.0]]), dim 6>")
    assert len(repr(long)) < 80
    assert str(2 * (C4.regular + C4.trivial)) == "2*(regular + trivial)"
    assert str((2 * C4.regular) @ C4.irrep(1)) == "(2*regular) @ irrep(1)"
    assert str(PERMUTED) == "permutation([[0, 2, 1, 3], [1, 0, 2, 3]])"
    assert str(groups.quotient(C4, groups.cyclic(2))) == "quotient([0, 2])"


def test_regular_is_a_permutation_of_elements():
    for group in (C4, D3, groups.p4m(), S3):
        for g in group.elements:
            expected = np.zeros((group.order, group.order))
            for h in group.elements:
                expected[(g @ h).index, h.index] = 1
            np.testing.assert_array_equal(group.regular(g), expected)


def test_sums_copies_and_tensor_products():
    rho, sigma = D3.irrep(2), D3.regular
    for g in D3.elements:
        np.testing.assert_allclose((rho + sigma)(g), block_diag(rho(g), sigma(g)), atol=1e-12)
        np.testing.assert_allclose((3 * rho)(g), np.kron(np.eye(3), rho(g)), atol=1e-12)
        np.testing.assert_allclose((rho @ sigma)(g), np.kron(rho(g), sigma(g)), atol=1e-12)
        np.testing.assert_allclose(rho.dual(g), np.linalg.inv(rho(g)).T, atol=1e-12)
    assert [t.dim for t in (rho + 2 * sigma).terms] == [2, 6, 6]


def test_equality_is_that_of_matrices():
    assert C4.trivial == C4.irrep(0)
    assert hash(C4.trivial) == hash(C4.irrep(0))
    assert 2 * C4.trivial == C4.trivial + C4.trivial
    assert C4.regular != C4.trivial
    assert C4.trivial != groups.cyclic(2).trivial
    assert C4.irrep(1) + C4.trivial != C4.trivial + C4.irrep(1)
    assert groups.cyclic(4).regular == C4.regular
    assert C4.trivial != 1
    tilted = groups.change_of_basis(C4.irrep(1), SKEWED)
    assert groups.change_of_basis(tilted, np.linalg.inv(SKEWED)) == C4.irrep(1)
    assert not tilted.is_orthogonal
    assert C4.irrep(1).is_orthogonal
    assert C4.regular.is_permutation
    assert not C4.irrep(1).is_permutation
    assert not C4.irrep(2).is_permutation


def test_the_trivial_group_has_representations_of_every_dimension():
    e = groups.trivial()
    assert e.regular == e.trivial
    assert (3 * e.trivial).dim == 3
    assert e.regular(e.identity).tolist() == [[1.0]]
    alone = groups.restricted(C4.regular, e)
    assert alone == 4 * alone.group.trivial
    assert str(alone) == "4*trivial"


ATOMS = ("trivial", "regular", "irrep(1)", "irrep(2)", "quotient([0, 1, 2])", "dual(irrep(2))")
TEXTS = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: f"{p[0]} + {p[1]}"),
        st.tuples(st.integers(1, 3), inner).map(lambda p: f"{p[0]}*({p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]}) @ ({p[1]})"),
    ),
    max_leaves=4,
)


def character_of(text):
    """The slow truth: Python's own evaluation of the text on characters of D3."""

    class Character(np.ndarray):
        def __matmul__(self, other):
            return np.asarray(self * other).view(Character)

    reflection = np.array([1, 1, 1, -1, -1, -1]).view(Character)
    plane = np.array([2, -1, -1, 0, 0, 0]).view(Character)
    return eval(  # noqa: S307
        text,
        {
            "trivial": np.ones(6).view(Character),
            "regular": np.array([6, 0, 0, 0, 0, 0]).view(Character),
            "quotient": lambda _: (1 + reflection).view(Character),
            "irrep": lambda i: (reflection, plane)[i - 1],
            "dual": lambda chi: chi,
        },
    )


@given(TEXTS)
def test_parse(text):
    rho = groups.parse(D3, text)
    np.testing.assert_allclose(groups.character(rho), character_of(text), atol=1e-9)
    again = groups.parse(D3, str(rho))
    assert again == rho
    assert str(again) == str(rho)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("regulr", "'regulr' is no representation. Write for example 'regular"),
        ("regular +", "invalid syntax"),
        ("regular - trivial", "neither a sum, nor n"),
        ("regular * 2", "malformed node"),
        ("2.5*regular", "neither a sum, nor n"),
        ("0*regular", "n = 0 copies. Write a whole number from 1"),
        ("irrep(7)", r"has no irrep\(7\)"),
        ("irrep()", "missing .* required"),
        ("irrep(i=1)", "is no representation"),
        ("quotient([0, 3])", "fine"),
        ("quotient([0, 1])", "are no subgroup: they generate"),
        ("__import__('os')", "is no representation"),
        ("regular.group", "is no representation"),
        ("", "invalid syntax"),
    ],
)
def test_text_that_does_not_parse(text, message):
    if message == "fine":
        assert groups.parse(D3, text).dim == 3
        return
    with pytest.raises(GroupError, match=message):
        groups.parse(D3, text)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: C4.regular + D3.regular, r"rho \+ sigma: regular is of C4 and regular of D3"),
        (lambda: C4.regular @ D3.regular, "rho @ sigma: regular is of C4 and regular of D3"),
        (lambda: 0 * C4.regular, "n = 0 copies. Write a whole number from 1: 2"),
        (lambda: C4.regular(D3.identity), r"e is not an element of C4 \(it is of D3\)"),
        (lambda: C4.regular(9), "9 is not an element of C4. Give one of group.elements"),
        (lambda: groups.from_cayley_table(C4.mul).natural, "was not written down as"),
        (
            lambda: groups.representation(C4, [np.eye(2), SWAP, np.eye(2), np.eye(2)]),
            r"rho\(r3\) is not the product of those of the generators \(r,\): they differ by 1\.",
        ),
        (
            lambda: groups.permutation(C4, [(0, 1), (0, 1), (1, 0), (0, 1)]),
            r"rho\(r2\) is not the product .*in the order of group\.elements, or of the generators",
        ),
    ],
)
def test_bad_use(call, message):
    with pytest.raises(GroupError, match=message):
        call()


@pytest.mark.parametrize(
    "call", [lambda: C4.regular + 1, lambda: C4.regular @ 2, lambda: "a" * C4.regular]
)
def test_operators_leave_other_types_to_python(call):
    with pytest.raises(TypeError):
        call()
    unchecked = unwrap(Representation.__add__), unwrap(Representation.__matmul__)
    assert all(f(C4.regular, 1) is NotImplemented for f in unchecked)
    assert unwrap(Representation.__rmul__)(C4.regular, "a") is NotImplemented


def test_all_elements_or_the_generators_say_the_same():
    listed = groups.matrices(D3.natural)
    by_generators = groups.representation(D3, [D3.natural(g) for g in D3.generators])
    assert groups.representation(D3, listed) == by_generators == D3.natural
    assert groups.permutation(C4, [(0, 1), (1, 0), (0, 1), (1, 0)])(3).tolist() == [[0, 1], [1, 0]]
