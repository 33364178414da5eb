"""Image tasks: which data, how many of them, and what is done to them, as one value."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import lru_cache
from typing import final

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from relaxeq.data.draws import generator
from relaxeq.data.sources import CLASSES, Pair, load_images
from relaxeq.data.toy import CLASSES as TOY_CLASSES
from relaxeq.data.toy import toy_task
from relaxeq.data.transforms import Transform
from relaxeq.errors import DataError


@final
@dataclass(frozen=True, eq=False)
class Sets:
    """Training and test data of a task, and what a network must know of them.

    x (n, channels, h, w), float32 of mean 0 and variance 1 per channel over the training set, and
    y (n,) in 0..outputs-1, or (n, outputs) for regression. `black` is what an empty pixel has
    become, per channel.
    """

    train: TensorDataset
    test: TensorDataset | None
    outputs: int
    black: tuple[float, ...]

    @property
    def channels(self) -> int:
        """Channels of an image."""
        return self._shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of an image."""
        return self._shape[2], self._shape[3]

    @property
    def _shape(self) -> tuple[int, ...]:
        shape = tuple(self.train.tensors[0].shape)
        if len(shape) != 4:
            raise DataError(
                f"x must be images (n, channels, height, width) for this network, not {shape}: "
                "reshape x, or choose a network that takes it"
            )
        return shape


class Task(ABC):
    """Data to learn from, as a value; `source` names them."""

    source: str

    @abstractmethod
    def load(self, seed: int = 0) -> Sets:
        """The data of a seed, the same at every call."""

    @abstractmethod
    def describe(self) -> str:
        """What they are, in words for a table."""


@final
@dataclass(frozen=True)
class ImageTask(Task):
    """Images of a named source after some transforms, standardised (App. F.5).

    `train` and `test` say how many to draw from the source's own parts, None for all; `root` is
    the folder of its files, as in `load_images`.
    """

    source: str = "digits"
    transforms: tuple[Transform, ...] = ()
    train: int | None = None
    test: int | None = None
    root: str | None = field(default=None, repr=False)  # not what, only where

    def __post_init__(self) -> None:
        given = self.transforms
        if not isinstance(given, tuple) or not all(isinstance(t, Transform) for t in given):
            raise DataError(
                f"transforms must be a tuple of transforms, as in (Rotated(),), not {given!r}"
            )

    def load(self, seed: int = 0) -> Sets:
        """The data of a seed, which fixes draws and transforms; the last ones are kept.

        Raises DataError when there are too few images, or files are missing or damaged.
        """
        return _made(self, seed)

    def describe(self) -> str:
        parts = load_images(self.source, self.root)
        whole = [len(part[1]) for part in parts]
        used = [n if c is None else c for n, c in zip(whole, (self.train, self.test), strict=True)]
        changes = "".join(f", {transform}" for transform in self.transforms)
        return (
            f"{used[0]:,} to train and {used[1]:,} to test on, of {self.source} with "
            f"{whole[0]:,} and {whole[1]:,}{changes}"
        )


@final
@dataclass(frozen=True)
class ToyTask(Task):
    """`toy_task` as a value: embedded digits in quadrants of 16×16, None for as many as it has."""

    task: str = "digit"
    train: int | None = None
    test: int | None = None
    source: str = field(default="digits", init=False, repr=False)

    def load(self, seed: int = 0) -> Sets:
        counts = {"train": self.train, "test": self.test}
        given = {name: count for name, count in counts.items() if count is not None}
        train, test = toy_task(self.task, seed=seed, **given)
        black = float(train.tensors[0].min())  # most pixels are empty
        return Sets(train, test, TOY_CLASSES[self.task], (black,))

    def describe(self) -> str:
        sets = self.load()
        counts = [len(part) for part in (sets.train, sets.test) if part is not None]
        return f"{counts[0]:,} to train and {counts[1]:,} to test on, UCI digits, {self.task}"


@lru_cache(maxsize=2)
def _made(task: ImageTask, seed: int) -> Sets:
    parts = load_images(task.source, task.root)
    wanted = (("train", task.train), ("test", task.test))
    (x, y), (x_test, y_test) = (
        _transformed(_drawn(part, name, count, seed), task.transforms, 2 * seed + number)
        for number, (part, (name, count)) in enumerate(zip(parts, wanted, strict=True))
    )
    mean, std = moments(x)
    classes = CLASSES
    for transform in task.transforms:
        classes = transform.classes(classes)
    train, test = (TensorDataset((a - mean) / std, b) for a, b in ((x, y), (x_test, y_test)))
    return Sets(train, test, classes, tuple((-mean / std).flatten().tolist()))


def _drawn(part: Pair, name: str, count: int | None, seed: int) -> Pair:
    x, y = part
    if count is None:
        return x, y
    if not 1 <= count <= len(x):
        raise DataError(f"{name}={count} must be from 1 to {len(x)}, the images that there are")
    chosen = torch.from_numpy(generator(seed, 4).permutation(len(x))[:count])
    return x[chosen], y[chosen]


def _transformed(part: Pair, transforms: tuple[Transform, ...], seed: int) -> Pair:
    x, y = part
    for transform in transforms:
        x, y = transform(x, y, seed)
    return x, y


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation per channel over images (n, c, h, w), each (c, 1, 1)."""
    mean, std = x.mean((0, 2, 3)), x.std((0, 2, 3), correction=0)
    if not (std > 0).all():
        raise DataError("the training images of a channel are all the same: nothing to scale")
    return mean[:, None, None], std[:, None, None]
