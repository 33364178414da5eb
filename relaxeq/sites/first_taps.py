"""Products of the first taps of a kernel's rows with all its taps, in three ways.

Each sums over all positions where the kernel fits a grid (n, c, row, …), and returns
((δ, other taps, channel), (ε, other taps, channel)) per group, δ below `first`, ε any tap.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import final

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv1d_weight, conv2d_weight, conv3d_weight

DATA = 1024
"""Rows of a product that are enough: of fewer, adding its result takes longer than the product."""

WEIGHT_GRADIENTS: dict[int, Callable[..., Tensor]] = {
    1: conv1d_weight,
    2: conv2d_weight,
    3: conv3d_weight,
}


@final
@dataclass(frozen=True)
class Taps:
    """A kernel as it moves over a grid; the rows are its first axis."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    @property
    def rows(self) -> tuple[int, int, int]:
        """Size, stride and dilation along the rows."""
        return self.kernel[0], self.stride[0], self.dilation[0]

    def positions(self, lines: int) -> int:
        """How many positions it has along so many lines."""
        size, step, gap = self.rows
        return (lines - gap * (size - 1) - 1) // step + 1


Multiply = Callable[[Tensor, Taps, int], Tensor]


def by_pairs(grid: Tensor, taps: Taps, first: int) -> Tensor:
    """A product per pair of taps of the rows, of the lines that both see.

    The grid is copied once per other tap.
    """
    size, step, gap = taps.rows
    windows, positions = _windows(grid, taps), taps.positions(grid.shape[2])
    lines = {
        phase: _lines(windows[:, :, phase::step], taps.groups)
        for phase in {gap * tap % step for tap in range(size)}
    }

    def seen(tap: int) -> Tensor:
        start, phase = divmod(gap * tap, step)
        return lines[phase][:, start : start + positions].flatten(1, 2)

    pairs = [(one, two) for one in range(first) for two in range(one, size)]
    found = {(one, two): seen(one).mT @ seen(two) for one, two in pairs}
    found |= {(two, one): found[one, two].mT for one, two in pairs if two < first}
    rows = [torch.cat([found[one, two] for two in range(size)], 2) for one in range(first)]
    return torch.cat(rows, 1)


def by_strips(grid: Tensor, taps: Taps, first: int) -> Tensor:
    """A product per position, for taps that are neighbours: faster than pairs for few features.

    The rows are cut into strips, so that a product has data enough from the same position of all.
    The grid is copied once per other tap, and the lines that strips share twice.
    """
    size, step, _ = taps.rows
    windows, positions = _windows(grid, taps), taps.positions(grid.shape[2])
    data = max(1, len(grid) * math.prod(windows.shape[3 : 2 + len(taps.kernel)]))
    strip = -(-positions // min(positions, -(-DATA // data)))
    strips, length = -(-positions // strip), step * (strip - 1) + size
    missing = step * strip * (strips - 1) + length - grid.shape[2]
    if missing > 0:
        windows = functional.pad(windows, (0, 0) * (windows.ndim - 3) + (0, missing))
    others, inner = _axes(windows)
    lines = rearrange(
        windows.unfold(2, length, step * strip),
        f"n (b c) l {others} {inner} r -> b l (n {others}) r ({inner} c)",
        b=taps.groups,
    ).contiguous()
    width = lines.shape[-1]
    products = lines.new_zeros(taps.groups, first * width, size * width)
    for place in range(strip):
        full = -(-(positions - place) // strip)  # strips that have a position at this place
        seen = lines[:, :full, :, step * place : step * place + size]
        patches = seen.flatten(3).flatten(1, 2)
        products.baddbmm_(patches[..., : first * width].mT, patches)
    return products


def by_convolution(grid: Tensor, taps: Taps, first: int) -> Tensor:
    """Weight gradients of a convolution, whose outputs' are what a tap sees: for small groups.

    Nothing is copied but what one tap sees.
    """
    gradient = WEIGHT_GRADIENTS[len(taps.kernel)]
    weight = (grid.shape[1], grid.shape[1] // taps.groups, *taps.kernel)
    steps = taps.stride, (0,) * len(taps.kernel), taps.dilation
    found = [
        gradient(grid, weight, _seen(grid, tap, taps), *steps, taps.groups)
        for tap in product(range(first), *map(range, taps.kernel[1:]))
    ]
    return rearrange(torch.stack(found), "k (b c) d ... -> b (k c) (... d)", b=taps.groups)


def _seen(grid: Tensor, tap: Sequence[int], taps: Taps) -> Tensor:
    """What a tap sees at all positions: a view (n, c, positions …)."""
    axes = zip(tap, taps.kernel, taps.stride, taps.dilation, strict=True)
    seen = grid
    for axis, (at, size, step, gap) in enumerate(axes, start=2):
        seen = seen.unfold(axis, gap * (size - 1) + 1, step)[..., gap * at]
    return seen


def _windows(grid: Tensor, taps: Taps) -> Tensor:
    """Views (n, c, row, other positions …, other taps …) of patches along all axes but the rows."""
    windows = grid
    _, *others = zip(taps.kernel, taps.stride, taps.dilation, strict=True)
    for axis, (size, step, gap) in enumerate(others, start=3):
        windows = windows.unfold(axis, (size - 1) * gap + 1, step)[..., ::gap]
    return windows


def _lines(windows: Tensor, groups: int) -> Tensor:
    """(block, line, (n, other positions), (other taps, channel))."""
    others, taps = _axes(windows)
    lines = rearrange(
        windows, f"n (b c) r {others} {taps} -> b r (n {others}) ({taps} c)", b=groups
    )
    return lines.contiguous()


def _axes(windows: Tensor) -> tuple[str, str]:
    """Names of the other positions and of the other taps, in the notation of einops."""
    count = (windows.ndim - 3) // 2
    others, taps = (" ".join(f"{letter}{i}" for i in range(count)) for letter in "pk")
    return others, taps
