"""Products of the first taps of a kernel's rows with all its taps, over all positions of a grid."""

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

from relaxeq.shapes import Expanded

DATA = 1024
"""Rows of a product that are enough: of fewer, adding its result takes longer than the product."""

WEIGHT_GRADIENTS: dict[int, Callable[..., Tensor]] = {
    1: conv1d_weight,
    2: conv2d_weight,
    3: conv3d_weight,
}


@final
@dataclass(frozen=True)
class Rows:
    """A kernel's taps along rows: `size` of them, `gap` lines apart, which move by `step` lines."""

    size: int
    step: int
    gap: int
    lines: int

    @property
    def positions(self) -> int:
        """How many the kernel takes."""
        return (self.lines - self.gap * (self.size - 1) - 1) // self.step + 1

    @property
    def period(self) -> tuple[int, int]:
        """(m, q): tap δ+m sees at position i what tap δ sees at i+q.

        (size, 0) where no two taps see the same lines, or so few that sharing them does not pay.
        """
        common = math.gcd(self.step, self.gap)
        taps, moved = self.step // common, self.gap // common
        apart = taps >= self.size or 2 * moved > self.positions
        return (self.size, 0) if apart else (taps, moved)

    def seen(self, position: int, taps: range) -> slice:
        """The lines that these taps see at a position."""
        start = self.step * position + self.gap * taps.start
        return slice(start, start + self.gap * len(taps), self.gap)


def windows_of(
    padded: Tensor, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> Tensor:
    """Views (n, c, row, other positions …, other taps …) of patches along all axes but the rows."""
    windows = padded
    for axis, (size, step, gap) in enumerate(zip(kernel, stride, dilation, strict=True), start=3):
        windows = windows.unfold(axis, (size - 1) * gap + 1, step)[..., ::gap]
    return windows


def features_of(windows: Tensor, groups: int) -> Expanded:
    """Windows in canonical axes: (n, block, other positions, (row, other taps, channel))."""
    grid, taps = _axes(windows)
    return rearrange(windows, f"n (b c) r {grid} {taps} -> n b ({grid}) (r {taps} c)", b=groups)


def by_pairs(windows: Tensor, groups: int, rows: Rows) -> Tensor:
    """Σ of tap δ < m times tap ε, ((δ, other taps, channel), (ε, …)) per block.

    A product per pair of taps, of the lines that both see: the grid is copied once per other tap.
    """
    step, gap = rows.step, rows.gap
    lines = {
        phase: _lines(windows[:, :, phase::step], groups)
        for phase in {gap * tap % step for tap in range(rows.size)}
    }

    def seen(tap: int) -> Tensor:
        start, phase = divmod(gap * tap, step)
        return lines[phase][:, start : start + rows.positions].flatten(1, 2)

    first = range(rows.period[0])
    found = {(one, two): seen(one).mT @ seen(two) for one in first for two in range(one, rows.size)}
    found |= {(two, one): found[one, two].mT for one, two in found if two in first}
    return torch.cat([torch.cat([found[i, j] for j in range(rows.size)], 2) for i in first], 1)


def by_strips(windows: Tensor, groups: int, rows: Rows) -> Tensor:
    """The same for taps that are neighbours: m taps times all, a product per position of a strip.

    The positions of the rows are cut into strips, so that each product is of enough data. Narrow
    features are multiplied faster so than by pairs. Strips copy the lines that they share twice.
    """
    size, step, positions = rows.size, rows.step, rows.positions
    data = max(1, len(windows) * math.prod(windows.shape[3 : 3 + (windows.ndim - 3) // 2]))
    strip = -(-positions // min(positions, -(-DATA // data)))
    strips, length = -(-positions // strip), step * (strip - 1) + size
    missing = step * strip * (strips - 1) + length - rows.lines
    if missing > 0:
        windows = functional.pad(windows, (0, 0) * (windows.ndim - 3) + (0, missing))
    grid, taps = _axes(windows)
    lines = rearrange(
        windows.unfold(2, length, step * strip),
        f"n (b c) l {grid} {taps} r -> b l (n {grid}) r ({taps} c)",
        b=groups,
    ).contiguous()
    width = lines.shape[-1]
    new = rows.period[0] * width
    products = lines.new_zeros(groups, new, size * width)
    for place in range(strip):
        full = -(-(positions - place) // strip)  # strips that have a position at this place
        seen = lines[:, :full, :, step * place : step * place + size]
        patches = seen.flatten(3).flatten(1, 2)
        products.baddbmm_(patches[..., :new].mT, patches)
    return products


def by_convolution(
    padded: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Tensor:
    """The same from weight gradients of a convolution, whose outputs' are what tap δ sees.

    Nothing is copied but what one tap sees.
    """
    taps, _ = Rows(kernel[0], stride[0], dilation[0], padded.shape[2]).period
    gradient = WEIGHT_GRADIENTS[len(kernel)]
    weight = (padded.shape[1], padded.shape[1] // groups, *kernel)
    steps = tuple(stride), (0,) * len(kernel), tuple(dilation)
    found = [
        gradient(padded, weight, _seen(padded, tap, kernel, stride, dilation), *steps, groups)
        for tap in product(range(taps), *map(range, kernel[1:]))
    ]
    return rearrange(torch.stack(found), "k (b c) d ... -> b (k c) (... d)", b=groups)


def _seen(
    padded: Tensor,
    tap: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> Tensor:
    """What a tap sees at all positions: a view (n, c, positions …)."""
    axes = zip(tap, kernel, stride, dilation, strict=True)
    seen = padded
    for axis, (at, size, step, gap) in enumerate(axes, start=2):
        seen = seen.unfold(axis, gap * (size - 1) + 1, step)[..., gap * at]
    return seen


def _lines(windows: Tensor, groups: int) -> Tensor:
    """(block, line, (n, other positions), (other taps, channel))."""
    grid, taps = _axes(windows)
    lines = rearrange(windows, f"n (b c) r {grid} {taps} -> b r (n {grid}) ({taps} c)", b=groups)
    return lines.contiguous()


def _axes(windows: Tensor) -> tuple[str, str]:
    """Names of the other positions and of the other taps, in the notation of einops."""
    others = (windows.ndim - 3) // 2
    grid, taps = (" ".join(f"{letter}{i}" for i in range(others)) for letter in "pk")
    return grid, taps
