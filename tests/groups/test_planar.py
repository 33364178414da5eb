"""Planar groups: every element against np.rot90, np.flip and np.roll on arrays."""

import itertools
import pickle
from inspect import unwrap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaxeq import groups
from relaxeq.errors import GroupError

Z2 = groups.Z2()
LATTICE = ["C1", "C2", "C4", "D1", "D2", "D4"]
PLANAR = [groups.planar(name) for name in LATTICE]
SIZES = {
    False: [(1, 1), (2, 3), (4, 4), (5, 2), (3, 3)],
    True: [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)],
}


def act_with_numpy(name, point, shift, x):
    """The slow truth: flip columns, then turn, then roll."""
    n = int(name[1:])
    flipped, k = divmod(point, n)
    x = np.flip(x, axis=-1) if flipped else x
    x = np.rot90(x, k * 4 // n, axes=(-2, -1))
    return np.roll(x, shift, axis=(-2, -1))


@pytest.mark.parametrize("name", LATTICE)
def test_action_on_arrays(name):
    group = groups.semidirect(groups.Z2(), groups.point_group(name))
    for size in SIZES[name in ("C4", "D4")]:
        x = np.arange(size[0] * size[1]).reshape(size)
        for point, shift in itertools.product(
            range(group.point_group.order), [(0, 0), (1, 0), (-2, 5)]
        ):
            a = group.element(shift=shift, point=group.point_group.elements[point])
            moved = x.ravel()[a.pixel_permutation(size)].reshape(size)
            assert (moved == act_with_numpy(name, point, shift, x)).all()


INTEGERS = st.integers(-9, 9)
STEPS = st.tuples(INTEGERS, INTEGERS, st.integers(0, 7))


def element(group, step):
    return group.element(step[:2], step[2] % group.point_group.order)


@given(st.sampled_from(PLANAR), STEPS, STEPS, st.integers(1, 6), st.integers(1, 6))
def test_product_is_composition(group, step_a, step_b, height, width):
    size = (height, height if group.point_group.turns else width)
    a, b = element(group, step_a), element(group, step_b)
    x = np.arange(size[0] * size[1])
    one_by_one = x[b.pixel_permutation(size)][a.pixel_permutation(size)]
    assert (x[(a @ b).pixel_permutation(size)] == one_by_one).all()
    assert a @ ~a == group.identity == ~a @ a
    assert a @ group.identity == a


@given(st.sampled_from(PLANAR), STEPS, STEPS)
def test_elements_are_values(group, step_a, step_b):
    a, b = element(group, step_a), element(group, step_b)
    copy = pickle.loads(pickle.dumps(a))
    assert copy == a
    assert hash(copy) == hash(a)
    assert (a == b) == (a.shift == b.shift and a.point == b.point)


@pytest.mark.parametrize(
    "name", ["C1", "C2", "C3", "C4", "C6", "C8", "D1", "D2", "D3", "D4", "D6", "D8"]
)
def test_text_and_pickle(name):
    group = groups.semidirect(groups.Z2(), groups.point_group(name))
    assert groups.planar(str(group)) == group
    assert pickle.loads(pickle.dumps(group)) == group
    assert hash(pickle.loads(pickle.dumps(group))) == hash(group)
    assert group.exact == (name in LATTICE)
    assert group.exact_on((4, 4)) == (name in LATTICE)
    assert group.exact_on((4, 6)) == (name in ("C1", "C2", "D1", "D2"))


def test_names():
    assert str(groups.Z2()) == "Z2"
    assert str(groups.planar("p4m")) == "Z2 ⋊ p4m"
    for text in ("Z2 ⋊ p4", "Z2⋊p4", "p4", "Z2xp4", "Z2 x C4"):
        assert groups.planar(text) == groups.semidirect(groups.Z2(), groups.p4())
    assert groups.planar("Z2") == groups.Z2() == groups.planar("p1")
    assert groups.Z2().point_group.order == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: groups.planar("p5x"), "does not begin with Z2"),
        (lambda: groups.planar("Z2 ⋊ q4"), "'q4' is no point group"),
        (lambda: groups.planar("Z2 ⋊ Z2"), "'Z2' is no point group"),
        (lambda: unwrap(groups.planar)(4), "4 is not text"),
        (lambda: groups.point_group("C0"), "'C0' is no point group. Write 'C4'"),
        (lambda: unwrap(groups.semidirect)(groups.p4(), groups.p4()), "translations: p4 is not Z2"),
        (lambda: groups.planar("p4").element(shift=(0.5, 0)), "not in whole pixels"),
        (lambda: unwrap(type(Z2).element)(Z2, shift=3), "not a pair of numbers"),
        (lambda: groups.planar("p4").element(point=4), "4 is not an element of p4"),
        (
            lambda: groups.planar("p4").identity.pixel_permutation((3, 4)),
            "does not map a 3×4 torus",
        ),
        (
            lambda: groups.planar("C6").identity.pixel_permutation((3, 3)),
            "does not map a 3×3 torus",
        ),
        (lambda: groups.planar("p4").exact_on((3, 0)), "not a pair of positive whole numbers"),
        (lambda: unwrap(type(Z2).exact_on)(Z2, 3), "not a pair of positive whole numbers"),
        (
            lambda: groups.planar("p4").identity @ Z2.identity,
            "Multiply elements of one group",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(GroupError, match=message):
        call()


def test_generators_reach_every_element():
    group, size = groups.planar("p4m"), (3, 3)
    reached = {tuple(range(9))}
    frontier = set(reached)
    steps = [g.pixel_permutation(size) for g in group.generators(size)]
    while frontier:
        frontier = {tuple(np.array(p)[s].tolist()) for p in frontier for s in steps} - reached
        reached |= frontier
    assert reached == {tuple(g.pixel_permutation(size).tolist()) for g in group.elements(size)}
    assert len(reached) == 8 * 9
    assert len(group.elements((3, 3))) == 8 * 9
    assert len(group.generators((1, 1))) == 2


def test_approximate_groups_compose_too():
    group = groups.planar("C6")
    a = group.element((1, 2), 1)
    power = group.identity
    for _ in range(6):
        power = power @ a
    assert power == group.identity
    assert a @ ~a == group.identity
