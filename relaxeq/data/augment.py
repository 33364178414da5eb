"""Augmentation of App. F.6: other flips and shifts in every epoch, for updates of weights only."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from relaxeq.data.checks import check_whole
from relaxeq.data.draws import generator
from relaxeq.data.loader import TensorLoader, tensors_of
from relaxeq.data.transforms import moved
from relaxeq.errors import DataError

APART = 1 << 40
"""Added to the epoch: draws of augmentation share no random numbers with the order of batches."""


class Augmentation(ABC):
    """A random change of an image, as a value: what it draws, and what it does with the draws."""

    @abstractmethod
    def draw(self, count: int, random: np.random.Generator) -> Tensor:
        """Whole numbers (count, k), one row per image of the data."""

    @abstractmethod
    def apply(self, images: Tensor, draws: Tensor) -> Tensor:
        """The images (n, c, h, w), each changed by its row of draws (n, k)."""


@final
@dataclass(frozen=True)
class Flips(Augmentation):
    """Half of the images are mirrored left to right."""

    def draw(self, count: int, random: np.random.Generator) -> Tensor:
        return torch.from_numpy(random.integers(0, 2, (count, 1)))

    def apply(self, images: Tensor, draws: Tensor) -> Tensor:
        return torch.where(draws[:, :, None, None] == 1, images.flip(3), images)


@final
@dataclass(frozen=True)
class Shifts(Augmentation):
    """Moves by up to `pixels` along both axes; `fill` per channel enters (black, if scaled)."""

    pixels: int = 4
    fill: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        check_whole("pixels", self.pixels, 0)

    def draw(self, count: int, random: np.random.Generator) -> Tensor:
        return torch.from_numpy(random.integers(-self.pixels, self.pixels + 1, (count, 2)))

    def apply(self, images: Tensor, draws: Tensor) -> Tensor:
        if self.fill is None:
            return moved(images, draws)
        if len(self.fill) != images.shape[1]:
            raise DataError(
                f"fill={self.fill!r} must hold a number for each of the {images.shape[1]} channels"
            )
        return moved(images, draws, torch.tensor(self.fill))


@final
class AugmentedLoader:
    """Batches (x, y) of images in memory, augmented anew in every epoch.

    The order is that of a `TensorLoader` of the same seed, and what happens to an image depends on
    (seed, epoch, its place in the data) alone, so that a resumed run repeats it. Use it as the
    first part of `relaxeq.Loaders`: curvature, evidence and tests see images as they are. Raises
    DataError like `TensorLoader`, and for images that are not (n, c, h, w).
    """

    def __init__(
        self,
        data: TensorDataset | tuple[Tensor, Tensor],
        batch_size: int,
        steps: Sequence[Augmentation],
        seed: int = 0,
    ) -> None:
        tensors = tensors_of(data)
        if len(tensors) != 2:
            raise DataError(f"data must be images and labels, not {len(tensors)} tensors")
        self.images, self.labels = tensors
        if self.images.ndim != 4:
            raise DataError(
                f"images must be (n, channels, height, width), not {tuple(self.images.shape)}"
            )
        places = torch.arange(len(self.images))
        self.steps, self.seed = tuple(steps), seed
        self._order = TensorLoader((places, self.labels), batch_size, seed)

    def __repr__(self) -> str:
        shape = tuple(self.images.shape)
        return f"AugmentedLoader({shape}, {self.batch_size}, steps={self.steps}, seed={self.seed})"

    @property
    def batch_size(self) -> int:
        """Number of data points in a batch, but perhaps the last."""
        return self._order.batch_size

    @property
    def dataset_size(self) -> int:
        """Number of data points in one epoch."""
        return self._order.dataset_size

    def __len__(self) -> int:
        """Return the number of batches in one epoch."""
        return len(self._order)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order and draws the next iteration takes."""
        self._order.set_epoch(epoch)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Run through one epoch: the one that `set_epoch` named last, at first 0."""
        random = generator(self.seed, APART + self._order.epoch)
        draws = [step.draw(self.dataset_size, random) for step in self.steps]
        for places, labels in self._order:
            x = self.images[places]
            for step, drawn in zip(self.steps, draws, strict=True):
                x = step.apply(x, drawn[places])
            yield x, labels
