"""What is done to images once, before training: the tasks of §6.1 and the data sets of App. F.5.

A transform is a value. Called with images (n, c, h, w), labels (n,) and a seed it returns both
anew; what it does to an image depends on its place in the data and the seed, on nothing else.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from relaxeq.data.checks import check_size, check_whole
from relaxeq.data.draws import generator
from relaxeq.data.toy import quadrants
from relaxeq.errors import DataError

Pair = tuple[Tensor, Tensor]


class Transform(ABC):
    """One step from images and labels to images and labels."""

    @abstractmethod
    def __call__(self, images: Tensor, labels: Tensor, seed: int) -> Pair:
        """Images (n, c, h', w') and labels (n,)."""

    def classes(self, before: int) -> int:
        """How many classes the labels have afterwards."""
        return before


@final
@dataclass(frozen=True)
class Fitted(Transform):
    """Images of the given size: larger ones are made smaller, smaller ones get an empty margin."""

    size: tuple[int, int]

    def __post_init__(self) -> None:
        check_size(self.size)

    def __call__(self, images: Tensor, labels: Tensor, seed: int) -> Pair:
        inner = [min(has, wanted) for has, wanted in zip(images.shape[2:], self.size, strict=True)]
        if inner != list(images.shape[2:]):
            images = functional.interpolate(images, inner, mode="bilinear", antialias=True)
        rows, cols = self.size[0] - inner[0], self.size[1] - inner[1]
        margins = (cols // 2, cols - cols // 2, rows // 2, rows - rows // 2)
        return functional.pad(images, margins), labels


@final
@dataclass(frozen=True)
class InQuadrant(Transform):
    """Each image in a random quadrant of an empty grid; see `quadrants` (§6.1)."""

    task: str = "digit"
    size: tuple[int, int] = (32, 32)

    def __post_init__(self) -> None:
        check_size(self.size)

    def __call__(self, images: Tensor, labels: Tensor, seed: int) -> Pair:
        if images.shape[1] != 1:
            raise DataError(f"images must have one channel for quadrants, not {images.shape[1]}")
        half = (self.size[0] // 2, self.size[1] // 2)
        images, _ = Fitted(half)(images, labels, seed) if _larger(images, half) else (images, None)
        return quadrants(images[:, 0], labels, self.task, self.size, seed)

    def classes(self, before: int) -> int:
        return 4 * before if self.task == "digit+quadrant" else before


def _larger(images: Tensor, size: tuple[int, int]) -> bool:
    return images.shape[2] > size[0] or images.shape[3] > size[1]


@final
@dataclass(frozen=True)
class Translated(Transform):
    """Each image moved by whole pixels, uniform in [-pixels, pixels] along both axes (App. F.5).

    What leaves the grid is lost, and 0 enters.
    """

    pixels: int = 8

    def __post_init__(self) -> None:
        check_whole("pixels", self.pixels, 0)

    def __call__(self, images: Tensor, labels: Tensor, seed: int) -> Pair:
        draws = generator(seed, 2).integers(-self.pixels, self.pixels + 1, (len(images), 2))
        return moved(images, torch.from_numpy(draws)), labels


@final
@dataclass(frozen=True)
class Rotated(Transform):
    """Each square image turned about its centre by an angle uniform on the circle (App. F.5).

    Bilinear between pixels, 0 beyond the edge.
    """

    def __call__(self, images: Tensor, labels: Tensor, seed: int) -> Pair:
        if images.shape[2] != images.shape[3]:
            raise DataError(f"images must be square to be turned, not {tuple(images.shape[2:])}")
        draws = generator(seed, 3).uniform(0, 2 * math.pi, len(images))
        return turned(images, torch.from_numpy(draws)), labels


def moved(images: Tensor, shifts: Tensor, fill: Tensor | None = None) -> Tensor:
    """x'[n, c, p + shift_n] = x[n, c, p] inside the grid, and `fill` (per channel, 0) elsewhere.

    images (n, c, h, w) and whole shifts (n, 2), down and to the right.
    """
    count, channels, height, width = images.shape
    reach = int(shifts.abs().max()) if len(shifts) else 0
    empty = images.new_zeros(channels) if fill is None else fill.to(images)
    shape = (count, channels, height + 2 * reach, width + 2 * reach)
    wide = empty[:, None, None].expand(shape).clone()
    wide[:, :, reach : reach + height, reach : reach + width] = images
    rows = torch.arange(height) + reach - shifts[:, :1]
    cols = torch.arange(width) + reach - shifts[:, 1:]
    n, c = torch.arange(count)[:, None, None, None], torch.arange(channels)[:, None, None]
    return wide[n, c, rows[:, None, :, None], cols[:, None, None, :]]


def turned(images: Tensor, angles: Tensor) -> Tensor:
    """Square images (n, c, s, s), each turned anticlockwise by its angle (n,) in radians."""
    cos, sin, zero = angles.cos(), angles.sin(), torch.zeros_like(angles)
    back = torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)
    shape = [len(images), *images.shape[1:]]
    grid = functional.affine_grid(back.to(images), shape, align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
