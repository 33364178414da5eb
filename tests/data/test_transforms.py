"""Transforms against loops over pixels, and what they may not depend on."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import config
from torch import Tensor

from relaxeq.data import Fitted, ImageTask, InQuadrant, Rotated, Transform, Translated, load_images
from relaxeq.data.transforms import moved, turned
from relaxeq.errors import DataError

RANDOM: list[Transform] = [Translated(3), Rotated(), InQuadrant("digit+quadrant", (12, 12))]


def some(
    count: int = 5, channels: int = 2, size: tuple[int, int] = (4, 6), seed: int = 0
) -> Tensor:
    return torch.rand(count, channels, *size, generator=torch.Generator().manual_seed(seed))


@given(
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    seed=st.integers(0, 99),
    reach=st.integers(0, 6),
)
def test_moved_is_a_loop_over_pixels(size: tuple[int, int], seed: int, reach: int) -> None:
    images, draws = some(3, 2, size, seed), np.random.default_rng(seed)
    shifts = torch.from_numpy(draws.integers(-reach, reach + 1, (3, 2)))
    fill = torch.tensor([0.25, -1.0])
    expected = fill[:, None, None].expand_as(images).clone()
    for n, c, row, col in np.ndindex(*images.shape):
        to = (row + int(shifts[n, 0]), col + int(shifts[n, 1]))
        if 0 <= to[0] < size[0] and 0 <= to[1] < size[1]:
            expected[n, c, to[0], to[1]] = images[n, c, row, col]
    assert torch.equal(moved(images, shifts, fill), expected)


def bilinear(image: np.ndarray, row: float, col: float) -> float:
    """The value between four pixels, those outside being 0."""
    total, top, left = 0.0, math.floor(row), math.floor(col)
    for r in (top, top + 1):
        for c in (left, left + 1):
            if 0 <= r < image.shape[0] and 0 <= c < image.shape[1]:
                total += float(image[r, c]) * (1 - abs(row - r)) * (1 - abs(col - c))
    return total


@given(angle=st.floats(0, 2 * math.pi), side=st.integers(2, 5), seed=st.integers(0, 99))
def test_turned_looks_up_every_pixel_where_it_came_from(angle: float, side: int, seed: int) -> None:
    image = some(1, 1, (side, side), seed).double()
    found = turned(image, torch.tensor([angle], dtype=torch.float64))[0, 0]
    middle, cos, sin = (side - 1) / 2, math.cos(angle), math.sin(angle)
    for row, col in np.ndindex(side, side):
        right, up = col - middle, middle - row  # anticlockwise: (right, up) came from R⁻¹
        came_right, came_up = cos * right + sin * up, -sin * right + cos * up
        expected = bilinear(image[0, 0].numpy(), middle - came_up, middle + came_right)
        assert float(found[row, col]) == pytest.approx(expected, abs=1e-9)


def test_a_quarter_turn_is_rot90() -> None:
    images = some(2, 3, (6, 6)).double()
    quarter = torch.full((2,), math.pi / 2, dtype=torch.float64)
    assert torch.allclose(turned(images, quarter), images.rot90(1, (2, 3)), atol=1e-12)


@pytest.mark.parametrize("transform", RANDOM, ids=str)
def test_draws_depend_on_the_seed_and_the_place_alone(transform: Transform) -> None:
    x, y = some(40, 1, (6, 6)), torch.arange(40) % 10
    first, labels = transform(x, y, 3)
    torch.manual_seed(9)
    again, _ = transform(x, y, 3)
    assert torch.equal(first, again)
    assert not torch.equal(first, transform(x, y, 4)[0])
    fewer, _ = transform(x[:25], y[:25], 3)
    assert torch.equal(fewer, first[:25])
    assert torch.equal(labels % 10, y)


def test_translations_are_uniform_over_all_places() -> None:
    x = torch.zeros(5000, 1, 5, 5)
    x[:, 0, 2, 2] = 1.0
    found, _ = Translated(2)(x, torch.zeros(5000), 0)
    counts = found.sum((0, 1)).flatten().double()
    assert counts.sum() == 5000
    assert ((counts - 200) ** 2 / 200).sum() < 51.2  # 99.9 % of a chi-square with 24 degrees


def test_angles_are_uniform_over_the_circle() -> None:
    x = torch.zeros(4000, 1, 9, 9)
    x[:, 0, 4, 8] = 1.0
    found, _ = Rotated()(x, torch.zeros(4000), 0)
    rows = torch.arange(9.0)[:, None].expand(9, 9) - 4
    angles = torch.atan2(-(found[:, 0] * rows).sum((1, 2)), (found[:, 0] * rows.T).sum((1, 2)))
    counts = torch.histc(angles.double(), 8, -math.pi, math.pi)
    assert ((counts - 500) ** 2 / 500).sum() < 24.3  # 99.9 % of a chi-square with 7 degrees


@pytest.mark.parametrize(
    ("before", "size"), [((28, 28), (32, 32)), ((3, 5), (6, 6)), ((4, 4), (4, 4))]
)
def test_fitted_adds_an_even_margin(before: tuple[int, int], size: tuple[int, int]) -> None:
    images = some(2, 2, before) + 1
    found, _ = Fitted(size)(images, torch.zeros(2), 0)
    top, left = (size[0] - before[0]) // 2, (size[1] - before[1]) // 2
    assert found.shape[2:] == size
    assert torch.equal(found[:, :, top : top + before[0], left : left + before[1]], images)
    assert found.sum() == pytest.approx(float(images.sum()))


def test_fitted_makes_smaller_without_losing_brightness() -> None:
    flat, _ = Fitted((16, 16))(torch.full((1, 1, 28, 28), 0.5), torch.zeros(1), 0)
    assert torch.allclose(flat, torch.full((1, 1, 16, 16), 0.5))
    images, _ = load_images("digits")[0]
    small, _ = Fitted((4, 4))(images[:100], torch.zeros(100), 0)
    assert small.shape[2:] == (4, 4)
    assert float(small.mean()) == pytest.approx(float(images[:100].mean()), rel=0.1)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(DataError, match=r"images must be square to be turned, not \(4, 6\)"):
        Rotated()(some(), torch.zeros(5), 0)
    with pytest.raises(DataError, match="one channel for quadrants, not 2"):
        InQuadrant()(some(), torch.zeros(5).long(), 0)


def test_a_task_is_standardised_by_its_training_images() -> None:
    task = ImageTask("digits", (Fitted((16, 16)), Translated(4)), train=300, test=100)
    sets = task.load(seed=1)
    x, y = sets.train.tensors
    assert (x.shape, y.shape, len(sets.test)) == ((300, 1, 16, 16), (300,), 100)
    assert float(x.mean()) == pytest.approx(0, abs=1e-5)
    assert float(x.std(correction=0)) == pytest.approx(1, abs=1e-5)
    assert abs(float(sets.test.tensors[0].mean())) > 1e-6
    assert float(x.min()) == pytest.approx(sets.black[0])
    assert (sets.outputs, sets.channels, sets.size) == (10, 1, (16, 16))
    assert task.load(1) is sets
    assert not torch.equal(task.load(2).train.tensors[0], x)


def test_quadrants_have_four_times_the_classes() -> None:
    sets = ImageTask("digits", (InQuadrant("digit+quadrant", (16, 16)),), train=200, test=9).load()
    assert sets.outputs == 40
    assert int(sets.train.tensors[1].max()) >= 30


def test_training_and_test_images_have_draws_of_their_own() -> None:
    task = ImageTask("digits", (InQuadrant("digit+quadrant", (16, 16)),), train=200, test=200)
    for one, other in ((0, 0), (0, 1)):
        sets = task.load(one), task.load(other)
        assert sets[1].test is not None
        places = [part.tensors[1] // 10 for part in (sets[0].train, sets[1].test)]
        assert 20 < int((places[0] == places[1]).sum()) < 80  # a quarter by chance


@pytest.mark.parametrize(("name", "count"), [("train", 0), ("train", 1501), ("test", 298)])
def test_more_images_than_there_are_is_refused(name: str, count: int) -> None:
    with pytest.raises(DataError, match=f"{name}={count} must be from 1 to"):
        ImageTask("digits", **{name: count}).load()  # type: ignore[arg-type]


def test_images_without_contrast_are_refused() -> None:
    with pytest.raises(DataError, match="training images of a channel are all the same"):
        ImageTask("digits", (Fitted((1, 1)),), train=1).load()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Fitted([16, 16]), r"size must be \(height, width\), as in .*, not \[16, 16\]"),
        (lambda: Fitted(16), r"size must be \(height, width\), as in \(16, 16\), not 16"),
        (lambda: Fitted((16, 0)), "each side of size must be a whole number of at least 1, not 0"),
        (
            lambda: InQuadrant("digit", (-8, 8)),
            "of size must be a whole number of at least 1, not -8",
        ),
        (lambda: Translated(-1), "pixels must be a whole number of at least 0, not -1"),
        (lambda: Translated(1.5), "pixels must be a whole number of at least 0, not 1.5"),
        (lambda: ImageTask("digits", [Rotated()]), "must be a tuple of transforms, as in .*, not"),
        (lambda: ImageTask("digits", (Rotated,)), "must be a tuple of transforms, as in .*, not"),
    ],
)
def test_wrong_arguments_are_refused(
    call: Callable[[], object], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "jaxtyping_disable", True)
    with pytest.raises(DataError, match=message):
        call()
