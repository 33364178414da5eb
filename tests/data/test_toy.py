"""The tasks of Table 1 against a slow placement, one image at a time."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from relaxeq.data import CLASSES, load_digits, quadrants, toy_task
from relaxeq.errors import DataError

TASKS = list(CLASSES)


def corner_of(grid: np.ndarray, image: np.ndarray) -> tuple[int, int]:
    """Find the one place where `image` lies in the otherwise empty `grid`, by trying all."""
    height, width = image.shape
    places = []
    for row in range(grid.shape[0] - height + 1):
        for col in range(grid.shape[1] - width + 1):
            alone = np.zeros_like(grid)
            alone[row : row + height, col : col + width] = image
            if np.array_equal(alone, grid):
                places.append((row, col))
    (place,) = places
    return place


@given(
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    spare=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    seed=st.integers(0, 1000),
)
def test_quadrant_of_the_label_is_where_the_image_lies(
    size: tuple[int, int], spare: tuple[int, int], seed: int
) -> None:
    images = torch.from_numpy(np.random.default_rng(seed).random((5, *size)) + 1)
    labels = torch.tensor([0, 9, 4, 4, 1])
    half = (size[0] + spare[0], size[1] + spare[1])
    grid = (2 * half[0], 2 * half[1])
    x, both = quadrants(images, labels, "digit+quadrant", size=grid, seed=seed)
    _, digit = quadrants(images, labels, "digit", size=grid, seed=seed)
    assert torch.equal(digit, labels)
    assert torch.equal(both % 10, labels)
    for image, canvas, label in zip(images.numpy(), x[:, 0].numpy(), both.tolist(), strict=True):
        lower, right = divmod(label // 10, 2)
        expected = (lower * half[0] + spare[0] // 2, right * half[1] + spare[1] // 2)
        assert corner_of(canvas, image) == expected


def test_quadrants_are_uniform_and_independent_of_the_digit() -> None:
    _, y = quadrants(*load_digits(), "digit+quadrant")
    counts = y.bincount(minlength=40).reshape(4, 10).double()
    expected = counts.sum(0) / 4
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert chi_square < 59.7  # 99.9 % of a chi-square with 30 degrees of freedom


@pytest.mark.parametrize("task", TASKS)
def test_a_seed_fixes_the_task_and_another_changes_it(task: str) -> None:
    first, again, other = toy_task(task), toy_task(task), toy_task(task, seed=1)
    for mine, same, new in zip(first, again, other, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine.tensors, same.tensors, strict=True))
        assert not torch.equal(mine.tensors[0], new.tensors[0])


def test_split_and_quadrants_are_drawn_apart() -> None:
    """Another seed gives another split, and no draw serves both purposes."""
    labels = [toy_task("digit", seed=seed)[0].tensors[1] for seed in (0, 1)]
    assert not torch.equal(*labels)
    images, digits = load_digits()
    _, y = quadrants(images, digits, "digit+quadrant", seed=5)
    split = np.random.default_rng([5, 0]).integers(0, 4, len(images))
    agreement = np.mean(y.numpy() // 10 == split)
    assert agreement == pytest.approx(0.25, abs=0.05)


@pytest.mark.parametrize("task", TASKS)
def test_sizes_types_and_classes(task: str) -> None:
    train, test = toy_task(task)
    assert train.tensors[0].shape == (1500, 1, 16, 16)
    assert test.tensors[0].shape == (297, 1, 16, 16)
    assert train.tensors[0].dtype == torch.float32
    assert train.tensors[1].dtype == torch.int64
    assert set(train.tensors[1].tolist()) == set(range(CLASSES[task]))


def test_both_tasks_show_the_same_images() -> None:
    for one, two in zip(toy_task("digit"), toy_task("digit+quadrant"), strict=True):
        assert torch.equal(one.tensors[0], two.tensors[0])
        assert torch.equal(one.tensors[1], two.tensors[1] % 10)


def test_no_digit_is_in_both_sets_and_none_is_lost() -> None:
    """Undo scaling and placement: the multiset of images must be the one that ships."""
    train, test = toy_task("digit")
    x = torch.cat([train.tensors[0], test.tensors[0]])
    blank = x.min()
    cells = (x - blank).reshape(-1, 2, 8, 2, 8).transpose(2, 3).reshape(-1, 4, 64)
    digits = cells.sum(1)  # three of the four cells are empty
    digits = (digits / digits.max() * 16).round().int()
    shipped = (load_digits()[0] * 16).int().flatten(1)
    assert sorted(digits.tolist()) == sorted(shipped.tolist())


def test_scaling_knows_the_training_set_only() -> None:
    small, rest = toy_task("digit", train=100, test=1000)
    pixels = small.tensors[0].double()
    assert pixels.mean().item() == pytest.approx(0, abs=1e-6)
    assert pixels.var(correction=0).item() == pytest.approx(1, abs=1e-5)
    assert abs(rest.tensors[0].double().var(correction=0).item() - 1) > 1e-4
    fewer = toy_task("digit", train=100, test=10)
    assert torch.equal(fewer[0].tensors[0], small.tensors[0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y: quadrants(x[0], y), r"images must be \(n, height, width\), not \(8, 8\)"),
        (lambda x, y: quadrants(x, y[:3]), r"one per image, \(5,\), not \(3,\)"),
        (lambda x, y: quadrants(x, y.float()), r"labels must be whole .* write labels\.long\(\)"),
        (lambda x, y: quadrants(x, y + 7), r"labels must be digits 0 to 9, not 7 to 11"),
        (lambda x, y: quadrants(x, y - 1), r"labels must be digits 0 to 9, not -1 to 3"),
        (lambda x, y: quadrants(x, y, size=(16, 15)), r"size must be even .* not \(16, 15\)"),
        (lambda x, y: quadrants(x, y, size=(16, 14)), r"at least \(16, 16\), .* not \(16, 14\)"),
        (lambda x, y: quadrants(x, y, "number"), r"'digit' or 'digit\+quadrant', not 'number'"),
        (lambda x, y: quadrants(x, y, seed=-1), r"seed must be at least 0, not -1"),
        (lambda x, y: toy_task("digit", train=1600), r"together at most 1797, not 1600 and 297"),
        (lambda x, y: toy_task("digit", train=0), r"at least 1 .* not 0 and 297"),
        (lambda x, y: toy_task("digit", test=0), r"at least 1 .* not 1500 and 0"),
    ],
)
def test_refused(call: Callable[..., object], message: str) -> None:
    images, labels = torch.zeros(5, 8, 8), torch.arange(5)
    with pytest.raises(DataError, match=message):
        call(images, labels)
