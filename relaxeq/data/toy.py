"""The two tasks of paper §6.1 and Table 1: digits in one of four quadrants, and where they lie."""

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from relaxeq.data.digits import load_digits
from relaxeq.data.draws import generator
from relaxeq.errors import DataError

CLASSES = {"digit": 10, "digit+quadrant": 40}
DIGITS = 10


def quadrants(
    images: Tensor,
    labels: Tensor,
    task: str = "digit",
    size: tuple[int, int] = (16, 16),
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """Place each image in the middle of a random quadrant of an empty grid (paper §6.1).

    images (n, h, w) and labels (n,) in 0..9 give x (n, 1, *size) and y (n,): the digit, or
    digit + 10 * quadrant with quadrant = 2 * (lower half) + (right half). The quadrants are
    uniform, independent of the images and fixed by `seed`. Raises DataError for what does not fit.
    """
    _check_digits(images, labels)
    _check_task(task)
    top, left = _margins(images, size)
    quadrant = torch.from_numpy(generator(seed, 1).integers(0, 4, len(images)))
    x = images.new_zeros(len(images), 1, *size)
    height, width = images.shape[1:]
    for q in range(4):
        row, col = top + (q // 2) * (size[0] // 2), left + (q % 2) * (size[1] // 2)
        here = quadrant == q
        x[here, 0, row : row + height, col : col + width] = images[here]
    return x, labels + DIGITS * quadrant if task == "digit+quadrant" else labels.clone()


def toy_task(
    task: str, train: int = 1500, test: int = 297, seed: int = 0
) -> tuple[TensorDataset, TensorDataset]:
    """Return the training and the test set of one task on the digits that ship with relaxeq.

    x (n, 1, 16, 16) float32, shifted and scaled to mean 0 and variance 1 over all pixels of the
    training set; y (n,) int64 with CLASSES[task] classes. `seed` fixes the shuffled split and the
    quadrants, which are the same for both tasks. Raises DataError when there are too few digits.
    """
    images, labels = load_digits()
    _check_counts(train, test, len(images))
    order = torch.from_numpy(generator(seed, 0).permutation(len(images)))
    order = order[: train + test]
    x, y = quadrants(images[order], labels[order], task, seed=seed)
    x = (x - x[:train].mean()) / x[:train].std(correction=0)
    return TensorDataset(x[:train], y[:train]), TensorDataset(x[train:], y[train:])


def _check_digits(images: Tensor, labels: Tensor) -> None:
    if images.ndim != 3:
        raise DataError(f"images must be (n, height, width), not {tuple(images.shape)}")
    if labels.shape != images.shape[:1]:
        raise DataError(
            f"labels must be one per image, ({len(images)},), not {tuple(labels.shape)}"
        )
    if labels.is_floating_point():
        raise DataError(f"labels must be whole numbers, not {labels.dtype}; write labels.long()")
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < DIGITS:
        raise DataError(
            f"labels must be digits 0 to 9, not {int(labels.min())} to {int(labels.max())}"
        )


def _check_task(task: str) -> None:
    if task not in CLASSES:
        raise DataError(f"task must be 'digit' or 'digit+quadrant', not {task!r}")


def _margins(images: Tensor, size: tuple[int, int]) -> tuple[int, int]:
    if size[0] % 2 or size[1] % 2:
        raise DataError(f"size must be even to have quadrants, not {size}")
    top, left = (size[0] // 2 - images.shape[1]) // 2, (size[1] // 2 - images.shape[2]) // 2
    if top < 0 or left < 0:
        least = (2 * images.shape[1], 2 * images.shape[2])
        raise DataError(f"size must be at least {least}, twice that of the images, not {size}")
    return top, left


def _check_counts(train: int, test: int, most: int) -> None:
    if train < 1 or test < 1 or train + test > most:
        raise DataError(
            f"train and test must be at least 1 and together at most {most}, not {train} and {test}"
        )
