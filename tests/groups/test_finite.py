"""Finite groups: against brute force on tables, permutations and escnn's own groups."""

import itertools
import pickle
from inspect import unwrap

import numpy as np
import pytest

from relaxeq import groups
from relaxeq.errors import GroupError

SMALL = [
    groups.trivial(),
    *(groups.cyclic(n) for n in (2, 3, 4, 6)),
    *map(groups.dihedral, (1, 2, 3, 4)),
]
POINT = [groups.point_group(name) for name in ("C1", "C2", "C4", "C6", "D1", "D2", "D3", "D4")]


@pytest.mark.parametrize("group", SMALL + POINT, ids=repr)
def test_laws(group):
    e = group.identity
    for g, h, k in itertools.product(group.elements, repeat=3):
        assert (g @ h) @ k == g @ (h @ k)
    for g in group.elements:
        assert g @ e == g == e @ g
        assert g @ ~g == e == ~g @ g
        assert group.mul[g.index, group.inv[g.index]] == e.index


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7])
def test_cyclic_adds_exponents(n):
    group = groups.cyclic(n)
    assert group.order == n
    for i, j in itertools.product(range(n), repeat=2):
        assert (group.elements[i] @ group.elements[j]).index == (i + j) % n


@pytest.mark.parametrize("group", SMALL + POINT, ids=repr)
def test_values(group):
    copy = pickle.loads(pickle.dumps(group))
    assert copy == group
    assert hash(copy) == hash(group)
    assert repr(copy) == repr(group)
    assert copy.elements == group.elements
    assert pickle.loads(pickle.dumps(group.elements[-1])) == group.elements[-1]
    with pytest.raises(ValueError, match="read-only"):
        copy.mul[0, 0] = 0


def test_equality_is_table_and_order_of_elements():
    assert groups.dihedral(1) == groups.cyclic(2)
    assert groups.dihedral(2) != groups.cyclic(4)
    assert groups.trivial() == groups.cyclic(1)
    assert groups.cyclic(4) != "C4"


def test_equality_of_point_groups_is_also_that_of_matrices():
    assert groups.pm() != groups.p2()
    assert groups.p2() != groups.cyclic(2)
    assert groups.p4() == groups.point_group("C4")
    assert groups.p4().subgroup([2]).group == groups.p2()


def test_elements_of_different_groups_do_not_multiply():
    with pytest.raises(GroupError, match="Multiply elements of one group"):
        groups.cyclic(4).elements[1] @ groups.cyclic(2).elements[1]
    with pytest.raises(TypeError):
        groups.cyclic(4).elements[1] @ 3


@pytest.mark.parametrize("bad", [0, -1, 2.5, "4", True, None])
def test_order_must_be_positive(bad):
    with pytest.raises(GroupError, match=r"not a whole number from 1: cyclic\(4\)"):
        unwrap(groups.cyclic)(bad)
    with pytest.raises(GroupError, match=r"dihedral\(4\)"):
        unwrap(groups.dihedral)(bad)


@pytest.mark.parametrize("group", SMALL + POINT, ids=repr)
def test_subgroups_are_all_closed_subsets(group):
    if group.order > 8:
        pytest.fail("too large for brute force: take it off the list")
    closed = set()
    for size in range(1, group.order + 1):
        for subset in itertools.combinations(range(group.order), size):
            if set(group.mul[np.ix_(subset, subset)].ravel().tolist()) == set(subset):
                closed.add(subset)
    assert {s.embedding for s in group.subgroups()} == closed


def test_subgroup_group_keeps_products():
    for part in groups.p4m().subgroups():
        for i, j in itertools.product(range(part.order), repeat=2):
            inside = part.embedding[int(part.group.mul[i, j])]
            assert inside == part.parent.mul[part.embedding[i], part.embedding[j]]
        assert (part.group.matrices == part.parent.matrices[list(part.embedding)]).all()


def test_conjugacy_classes_of_subgroups():
    assert len(groups.dihedral(4).subgroups()) == 10
    assert len(groups.dihedral(4).subgroups(conjugacy=True)) == 8


@pytest.mark.parametrize("group", SMALL + POINT, ids=repr)
def test_transversals_partition(group):
    for part in group.subgroups():
        right = group.mul[np.ix_(part.embedding, part.right_transversal)]
        left = group.mul[np.ix_(part.left_transversal, part.embedding)]
        assert sorted(right.ravel().tolist()) == list(range(group.order))
        assert sorted(left.ravel().tolist()) == list(range(group.order))
        assert part.index == len(part.right_transversal) == len(part.left_transversal)
        assert part.is_normal == (
            {frozenset(column) for column in right.T.tolist()}
            == {frozenset(row) for row in left.tolist()}
        )


def test_subgroup_by_generators():
    p4 = groups.p4()
    assert groups.subgroup(p4, generators=[p4.elements[2]]).embedding == (0, 2)
    assert groups.subgroup(p4, generators=[]).embedding == (0,)
    assert p4.subgroup([1]).order == 4
    assert repr(p4.subgroup([2])) == "p4{e, r2}"
    with pytest.raises(GroupError, match="not an element of p4"):
        p4.subgroup([4])
    with pytest.raises(GroupError, match="not an element of p4"):
        p4.subgroup([groups.cyclic(4).elements[1]])


def test_as_subgroup_by_matrices():
    p4, p4m = groups.p4(), groups.p4m()
    assert p4.as_subgroup(groups.p2()).embedding == (0, 2)
    assert p4m.as_subgroup(groups.p2()).embedding == (0, 2)
    assert p4m.as_subgroup(groups.pm()).embedding == (0, 4)
    assert p4m.as_subgroup(groups.pmm()).embedding == (0, 2, 4, 6)
    assert p4.as_subgroup(groups.trivial()).embedding == (0,)
    with pytest.raises(GroupError, match="pm does not fit into p4"):
        p4.as_subgroup(groups.pm())


def test_as_subgroup_by_table():
    S3, D4 = groups.symmetric(3), groups.dihedral(4)
    assert S3.as_subgroup(groups.cyclic(3)).embedding == (0, 3, 4)
    assert S3.as_subgroup(groups.dihedral(3)).order == 6
    assert D4.as_subgroup(groups.from_cayley_table(groups.cyclic(4).mul)).embedding == (0, 1, 2, 3)
    assert S3.is_subgroup(groups.cyclic(2))
    assert not D4.is_subgroup(groups.cyclic(3))
    with pytest.raises(GroupError, match="C2 fits in 3 ways into S3"):
        S3.as_subgroup(groups.cyclic(2))
    with pytest.raises(GroupError, match="C3 does not fit into D4"):
        D4.as_subgroup(groups.cyclic(3))


def test_as_subgroup_by_what_was_written_down():
    assert groups.dihedral(4).as_subgroup(groups.cyclic(2)).embedding == (0, 2)
    swap = groups.from_permutations([(0, 2, 1)])
    S3 = groups.symmetric(3)
    assert [S3.names[i] for i in S3.as_subgroup(swap).embedding] == ["e", "(1 2)"]


def test_as_subgroup_of_a_subgroup():
    p4 = groups.p4()
    half = p4.subgroup([2])
    assert p4.as_subgroup(half) is half
    assert not groups.p4m().is_subgroup(half)
    with pytest.raises(GroupError, match="is a subgroup of p4, not of p4m"):
        groups.p4m().as_subgroup(half)
    with pytest.raises(GroupError, match="'C2' is no finite group"):
        unwrap(type(p4).as_subgroup)(p4, "C2")
