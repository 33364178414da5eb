"""Places and anchors: distances against their definitions, designs against counting."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaxeq import groups
from relaxeq.errors import GroupError
from relaxeq.fields import Field
from relaxeq.paths import Vectors
from relaxeq.paths.sparse.anchors import (
    filter_places,
    group_places,
    group_squares,
    half,
    placed_anchors,
    places_of,
    torus_places,
)

GROUPS = {
    "p4": groups.p4(),
    "p4m": groups.p4m(),
    "C5": groups.cyclic(5),
    "S3": groups.symmetric(3),
    "Q8": groups.from_cayley_table(
        [
            [0, 1, 2, 3, 4, 5, 6, 7],
            [1, 0, 3, 2, 5, 4, 7, 6],
            [2, 3, 1, 0, 6, 7, 5, 4],
            [3, 2, 0, 1, 7, 6, 4, 5],
            [4, 5, 7, 6, 1, 0, 2, 3],
            [5, 4, 6, 7, 0, 1, 3, 2],
            [6, 7, 4, 5, 3, 2, 1, 0],
            [7, 6, 5, 4, 2, 3, 0, 1],
        ]
    ),
}


@pytest.mark.parametrize("name", GROUPS)
def test_group_distances_are_left_invariant_metrics(name):
    group = GROUPS[name]
    distance = np.sqrt(group_squares(group))
    assert (distance == 0).sum() == group.order  # only of an element to itself
    np.testing.assert_allclose(distance, distance.T)
    for a in range(group.order):
        np.testing.assert_allclose(distance[np.ix_(group.mul[a], group.mul[a])], distance)
    for i, j, k in itertools.product(range(group.order), repeat=3):
        assert distance[i, k] <= distance[i, j] + distance[j, k] + 1e-12


@pytest.mark.parametrize("name", ["p4", "p4m", "S3"])
def test_group_distances_are_how_far_unit_vectors_move(name):
    group, rng = GROUPS[name], np.random.default_rng(0)
    rho = group.natural
    vectors = rng.standard_normal((200_000, rho.dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for g, h in itertools.product(group.elements, repeat=2):
        moved = vectors @ (rho(g) - rho(h)).T
        mean = (moved**2).sum(1).mean()
        assert group_squares(group)[g.index, h.index] == pytest.approx(mean, abs=0.02)


def test_known_distances():
    assert group_squares(groups.p4())[0].tolist() == [0, 2, 4, 2]
    of_table = group_squares(GROUPS["Q8"])
    assert of_table.tolist() == (2.0 * (1 - np.eye(8))).tolist()
    places = filter_places(3, groups.p4())
    squares = places.squares(np.array([[0.0, 1.0]]), np.array([2]))[0]
    offsets = itertools.product((-1, 0, 1), repeat=2)
    expected = [i**2 + (j - 1) ** 2 for i, j in offsets]
    for k, turn in enumerate((4, 2, 0, 2)):
        np.testing.assert_allclose(squares[9 * k : 9 * (k + 1)], np.array(expected) + turn)


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.floats(-9, 9), st.floats(-9, 9)),
    st.tuples(st.integers(-20, 20), st.integers(-20, 20)),
)
def test_torus_distances_wrap_and_move_with_translations(size, z, shift):
    places, none = torus_places(size), np.zeros(1, np.int64)
    here = places.squares(np.array([z]), none).reshape(size)
    there = places.squares(np.array([z]) + shift, none).reshape(size)
    np.testing.assert_allclose(there, np.roll(here, shift, (0, 1)), atol=1e-9)
    for (i, j), square in np.ndenumerate(here):
        chords = [
            n / math.pi * math.sin(math.pi * (z[a] - p) / n)
            for a, (n, p) in enumerate(zip(size, (i, j), strict=True))
        ]
        assert square == pytest.approx(chords[0] ** 2 + chords[1] ** 2, abs=1e-9)


def test_torus_distances_are_euclidean_nearby():
    places = torus_places((1000, 700))
    square = places.squares(np.array([[999.0, 0.0]]), np.zeros(1, np.int64))[0]
    for i, j in itertools.product(range(4), repeat=2):
        assert square[700 * i + j] == pytest.approx((i + 1) ** 2 + j**2, rel=1e-3, abs=1e-9)


@pytest.mark.parametrize("omega", [0.05, 0.3, 1.0])
@pytest.mark.parametrize(
    "places",
    [torus_places((4, 6)), torus_places((5, 1)), filter_places(3, groups.p4m())],
    ids=["even", "odd", "oriented"],
)
def test_gaussian_kernels_are_positive(places, omega):
    squares = places.squares(places.positions, places.turns)
    assert np.linalg.eigvalsh(np.exp(-(omega**2) * squares)).min() > -1e-12


@given(st.sampled_from([1, 2, 4, 8, 16]), st.sampled_from([2, 4, 8, 16]))
def test_half_of_a_grid_is_a_checkerboard(height, width):
    anchors = placed_anchors(torus_places((height, width)), height * width // 2, "grid")
    if height == width:
        assert (anchors.z.sum(1) % 2 == 0).all()
    assert len({tuple(z) for z in anchors.z}) == height * width // 2


def test_half_of_a_filter_is_its_centre_and_corners():
    anchors = placed_anchors(filter_places(3), 5, "grid")
    assert anchors.z[0].tolist() == [0, 0]
    corners = {tuple(z) for z in anchors.z[1:]}
    assert corners == set(itertools.product((-1.0, 1.0), repeat=2))


@given(st.integers(1, 7), st.integers(1, 7), st.sampled_from(["grid", "halton"]), st.data())
def test_anchors_lie_apart_and_inside(height, width, design, data):
    places = torus_places((height, width))
    count = data.draw(st.integers(1, height * width))
    anchors = placed_anchors(places, count, design)
    assert anchors.z.shape == (count, 2)
    assert len({tuple(z) for z in anchors.z.round(9)}) == count
    assert (anchors.z >= -0.5).all()
    assert (anchors.z <= np.array([height, width]) - 0.5).all()


def test_halton():
    z = placed_anchors(torus_places((12, 18)), 6, "halton").z + 0.5
    np.testing.assert_allclose(z[:, 0] / 12, [1 / 2, 1 / 4, 3 / 4, 1 / 8, 5 / 8, 3 / 8])
    np.testing.assert_allclose(z[:, 1] / 18, [1 / 3, 2 / 3, 1 / 9, 4 / 9, 7 / 9, 2 / 9])
    turns = placed_anchors(filter_places(3, groups.p4()), 5, "halton").turns
    assert turns.tolist() == [0, 1, 2, 3, 0]  # i/5, and then 1/25


@pytest.mark.parametrize("design", ["grid", "halton"])
def test_designs_spread_over_orientations_and_elements(design):
    turns = placed_anchors(filter_places(3, groups.p4()), 18, design).turns
    assert np.bincount(turns, minlength=4).min() >= 3
    chosen = placed_anchors(group_places(groups.cyclic(8)), 4, design)
    assert sorted(chosen.turns.tolist()) in ([0, 2, 4, 6], [1, 2, 4, 6])
    assert not chosen.z.any()


def test_half_is_rounded_up():
    assert [half(n) for n in (1, 2, 9, 16, 25)] == [1, 1, 5, 8, 13]


def test_places_of_spaces():
    field = Field(groups.Z2(), 2, (3, 5))
    assert places_of(field, "source") is torus_places((3, 5))
    regular = Vectors(groups.symmetric(3).regular, 2)
    assert len(places_of(regular, "source")) == 6
    natural = Vectors(groups.symmetric(3).natural, 2)
    with pytest.raises(GroupError, match=r"target=2×.* has no places with a distance.*Write F-FC"):
        places_of(natural, "target")


def test_distances_do_not_depend_on_equal_groups_used_before():
    """A table has no matrices to measure by, though it equals a group that has."""
    rotations, table = groups.cyclic(4), groups.from_cayley_table(groups.cyclic(4).mul)
    assert rotations == table
    assert group_places(rotations).between[0].tolist() == [0, 2, 4, 2]
    assert group_places(table).between[0].tolist() == [0, 2, 2, 2]
    assert group_places(groups.cyclic(4)) is group_places(rotations)
