"""Groups that users write down."""

import itertools
from inspect import unwrap

import numpy as np
import pytest

from relaxeq import groups
from relaxeq.errors import GroupError
from relaxeq.groups import generated

from_permutations = unwrap(groups.from_permutations)
from_matrices = unwrap(groups.from_matrices)
from_cayley_table = unwrap(groups.from_cayley_table)

C3 = groups.cyclic(3).mul


def quaternion_table():
    """±1, ±i, ±j, ±k as 2×2 complex matrices, multiplied out."""
    one, i = np.eye(2), np.array([[1j, 0], [0, -1j]])
    j = np.array([[0, 1], [-1, 0]])
    units = [s * u for u in (one, i, j, i @ j) for s in (1, -1)]
    return [
        [next(n for n, u in enumerate(units) if np.allclose(a @ b, u)) for b in units]
        for a in units
    ]


def test_the_groups_of_the_contract():
    V4 = groups.from_permutations([(1, 0, 3, 2), (2, 3, 0, 1)])
    assert V4.order == 4
    assert V4.is_abelian
    assert all(g @ g == V4.identity for g in V4.elements)

    Q8 = groups.from_cayley_table(quaternion_table())
    assert Q8.order == 8
    assert sum(g @ g == Q8.identity for g in Q8.elements) == 2
    assert len(Q8.subgroups()) == 6
    assert all(part.is_normal for part in Q8.subgroups())
    assert not Q8.is_abelian

    S3 = groups.symmetric(3)
    assert S3.order == 6
    assert len(S3.subgroups()) == 6
    assert groups.from_permutations([(1, 0, 2), (0, 2, 1)]) == S3


def test_permutations_compose_as_functions():
    group = groups.from_permutations([(1, 2, 0, 3), (0, 1, 3, 2)])
    assert group.order == 24
    for g, h in itertools.product(group.elements[::5], group.elements):
        p, q, pq = (np.argmax(group.natural(x), axis=0) for x in (g, h, g @ h))
        assert pq.tolist() == p[q].tolist()
    assert group.names[:3] == ("e", "(2 3)", "(1 2)")


def test_tables_are_made_from_products_with_generators_alone(monkeypatch):
    compose, count = generated._compose, itertools.count()
    monkeypatch.setattr(generated, "_compose", lambda p, q: (next(count), compose(p, q))[1])
    group = from_permutations([(1, 0, 2, 3, 4, 5, 6), (1, 2, 3, 4, 5, 6, 0)], bound=6000)
    assert next(count) < 10 * group.order
    assert group.order == 5040
    listed = np.argmax(group.concrete, axis=1)
    places = np.random.default_rng(0).integers(group.order, size=(50, 2))
    for i, j in places:
        np.testing.assert_array_equal(listed[group.mul[i, j]], listed[i][listed[j]])


def test_matrices():
    quarter = groups.from_matrices([[[0, -1], [1, 0]]])
    assert quarter == groups.cyclic(4)
    cube = groups.from_matrices(
        [[[0, -1, 0], [1, 0, 0], [0, 0, 1]], [[0, 0, 1], [1, 0, 0], [0, 1, 0]]]
    )
    assert cube.order == 24
    for g, h in itertools.product(cube.elements[::5], cube.elements):
        np.testing.assert_array_equal(cube.natural(g) @ cube.natural(h), cube.natural(g @ h))
    angle = 2 * np.pi / 7
    turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    assert groups.from_matrices([turn]) == groups.cyclic(7)
    # A shear of finite order: matrices need not be orthogonal.
    sheared = groups.from_matrices([[[1, 1], [-3, -2]]])
    assert sheared == groups.cyclic(3)


@pytest.mark.parametrize("entry", [0.0078125, 0.25, 0.1234565, 0.123456, 1.0])
@pytest.mark.parametrize("error", [1e-12, -1e-12])
def test_errors_of_rounding_make_no_new_element(entry, error):
    """Entries on a border of decimal rounding too."""
    turn = np.array([[0, -entry], [1 / entry, -1]])
    assert groups.from_matrices([turn, turn + error]) == groups.cyclic(3)


def turn(order, dtype):
    angle = 2 * np.pi / order
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], dtype)


@pytest.mark.parametrize("order", [5, 9, 11, 100])
def test_generators_need_all_digits(order):
    assert groups.from_matrices([turn(order, np.float64)]) == groups.cyclic(order)
    with pytest.raises(GroupError, match="miss .*, by .*e-0.* Write them with all digits"):
        from_matrices([turn(order, np.float32)])


def test_a_group_of_elements_close_together():
    """Entries of one element lie on both sides of any border between bins."""
    many = groups.from_matrices([turn(900, np.float64), [[1, 0], [0, -1]]], bound=2000)
    assert many.order == 1800
    assert (np.sort(many.mul, axis=0) == np.arange(1800)[:, None]).all()


@pytest.mark.parametrize(
    ("generators", "message"),
    [
        ([[[2]]], "matrix 0 has an eigenvalue of modulus 2, so that its powers never end"),
        ([[[0.5]]], "eigenvalue of modulus 0.5"),
        ([[[0.9, 0], [0, 0.9]]], "eigenvalue of modulus 0.9"),
        ([[[2, 1], [1, 1]]], "eigenvalue of modulus 2.62"),
        ([[[1, 0], [0, 1]], [[2, 0], [0, 0.5]]], "matrix 1 has an eigenvalue of modulus 2"),
        ([[[0, -1], [1, 0]], [[0, -1], [1, 1]]], "more than 1000 elements"),
        ([[[1, 1e-7], [0, 1]]], "miss the 1 matrices found, by 1e-07"),
    ],
)
def test_infinite_groups(generators, message):
    with pytest.raises(GroupError, match=message):
        from_matrices(generators)


def table_with(i, j, value, base=C3):
    table = np.array(base)
    table[i, j] = value
    return table.tolist()


# A loop of order 5 with identity 0 and inverses, but (1 1) 2 = 2 and 1 (1 2) = 4.
LOOP = [[0, 1, 2, 3, 4], [1, 0, 3, 4, 2], [2, 4, 0, 1, 3], [3, 2, 4, 0, 1], [4, 3, 1, 2, 0]]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([[0, 1], [1, 2]], "not closed: element 1 times element 1 is 2"),
        ([[0, 1], [1, -1]], "not closed: element 1 times element 1 is -1"),
        ([[1, 1], [1, 1]], "no identity"),
        ([[0, 0, 1], [1, 2, 2], [2, 1, 0]], "no identity.*Nearest is element 0, which changes"),
        ([[0, 1], [1, 1]], "no inverse: nothing times element 1 is the identity, element 0"),
        (LOOP, r"not associative: with a = 1, b = 1, c = 2, \(a b\) c is 2 and a \(b c\) is 4"),
        ([[0, 1], [1, 0], [0, 1]], r"shape \(3, 2\)"),
        ([[0, 1], [1]], r"rows of unequal length are no square\. Write table"),
        ([[0, 0.5], [1, 0]], "is no square of whole numbers"),
        ("C4", "is no square of whole numbers"),
        ([], "is no square of whole numbers"),
    ],
)
def test_tables_that_are_no_groups(table, message):
    with pytest.raises(GroupError, match=message):
        from_cayley_table(table)


def test_every_wrong_entry_is_found():
    base = groups.symmetric(3).mul
    for i, j, wrong in itertools.product(range(6), repeat=3):
        if wrong != base[i, j]:
            with pytest.raises(GroupError, match="table: no"):
                from_cayley_table(table_with(i, j, wrong, base))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: from_permutations([]), "none given. Write groups.trivial"),
        (lambda: from_permutations([(0, 0)]), r"\(0, 0\) is no permutation"),
        (lambda: from_permutations([(1, 2)]), r"\(1, 2\) is no permutation"),
        (lambda: from_permutations([(1, 0.5)]), "is no permutation"),
        (lambda: from_permutations([3]), "3 is no permutation"),
        (lambda: from_permutations([(1, 0), (0, 2, 1)]), "moves 3 points and .* moves 2"),
        (lambda: from_permutations([(1, 2, 3, 0)], bound=3), "more than 3 elements.*bound=30"),
        (
            lambda: from_matrices([[[1, 1], [0, 1]]]),
            "more than 1000 elements, so perhaps no finite",
        ),
        (lambda: from_matrices([[[1, 0], [0, 0]]]), "matrix 0 is not invertible"),
        (lambda: from_matrices([[[1, np.nan], [0, 1]]]), "matrix 0 is not invertible"),
        (lambda: from_matrices([[[1, 0]]]), "no list of square matrices"),
        (lambda: from_matrices([]), "no list of square matrices"),
        (lambda: from_matrices([[[1]], [[1, 0], [0, 1]]]), "no list of square matrices"),
        (lambda: from_permutations(None), "None is no list of permutations. Write .*1, 2, 0"),
        (lambda: from_permutations([(0,), None]), "None is no permutation"),
        (lambda: from_cayley_table(C3, names=["e"]), "1 names for 3 elements"),
        (lambda: from_cayley_table(C3, names=["e", "x", "x"]), "'x' names two elements.*another"),
        (lambda: from_cayley_table(C3, names=[0, 1, 2]), "no list of texts. Write names="),
        (lambda: from_cayley_table(C3, names="eab"), "'eab' is no list of texts"),
        (lambda: from_cayley_table(C3, names=5), "5 is no list of texts"),
    ],
)
def test_bad_generators(call, message):
    with pytest.raises(GroupError, match=message):
        call()
