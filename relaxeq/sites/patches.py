"""Layouts of convolutions: patches of any grid, and of a torus or a plane by autocorrelation."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import final

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_weight

from relaxeq.shapes import Expanded, Gram
from relaxeq.sites.circular import circular_pad
from relaxeq.sites.layouts import Layout, gram_of
from relaxeq.sites.lines import patch_gram


@final
@dataclass(frozen=True)
class Patches(Layout):
    """Input patches of a convolution in 1, 2 or 3 dimensions: features (channel, offset) per group.

    `pad` and `mode` are those of `torch.nn.functional.pad` (last axis first). Works for every
    padding mode, stride, dilation and number of groups. The Gram is taken line by line.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pad: tuple[int, ...]
    mode: str
    groups: int = 1

    def expand(self, tensor: Tensor) -> Expanded:
        windows = self._padded(tensor)
        for axis, (size, step, gap) in enumerate(
            zip(self.kernel, self.stride, self.dilation, strict=True), start=2
        ):
            windows = windows.unfold(axis, (size - 1) * gap + 1, step)[..., ::gap]
        rank = len(self.kernel)
        grid = " ".join(f"p{i}" for i in range(rank))
        offsets = " ".join(f"k{i}" for i in range(rank))
        pattern = f"n (b c) {grid} {offsets} -> n b ({grid}) (c {offsets})"
        return rearrange(windows, pattern, b=self.groups)

    def gram(self, tensor: Tensor) -> Gram:
        if self.shared(tensor) == 1:  # no pixel is in two patches
            return gram_of(self.expand(tensor))
        padded = self._padded(tensor)
        return patch_gram(padded, self.kernel, self.stride, self.dilation, self.groups)

    def shared(self, tensor: Tensor) -> int:
        wide = [a + b for a, b in zip(self.pad[::2], self.pad[1::2], strict=True)][::-1]
        sides = zip(tensor.shape[2:], wide, self.kernel, self.stride, self.dilation, strict=True)
        return math.prod((n + w - gap * (k - 1) - 1) // step + 1 for n, w, k, step, gap in sides)

    def _padded(self, tensor: Tensor) -> Tensor:
        if self.mode == "circular":
            return circular_pad(tensor, self.pad)
        return functional.pad(tensor, self.pad, mode=self.mode) if any(self.pad) else tensor


@final
@dataclass(frozen=True)
class TorusPatches(Layout):
    """All k×k patches of an H×W torus (k odd, stride 1): features (channel, row, column offset).

    The Gram depends on differences of offsets only,
    A[(c,δ),(c',ε)] = R[c,c',ε−δ],   R[c,c',d] = Σ_{n,p} x[n,c,p] x[n,c',p+d],
    so (2k−1)² correlation matrices of size C×C are enough, half of them by the symmetry
    R[c,c',−d] = R[c',c,d]: never an unfolded patch matrix.
    """

    kernel: int

    def expand(self, tensor: Tensor) -> Expanded:
        return _square(self.kernel, "circular").expand(tensor)

    def gram(self, tensor: Tensor) -> Gram:
        return _by_differences(torus_correlations(tensor, self.kernel))

    def shared(self, tensor: Tensor) -> int:
        return tensor.shape[2] * tensor.shape[3]


@final
@dataclass(frozen=True)
class PlanePatches(Layout):
    """All 3×3 patches of an H×W grid with zeros around it (stride 1).

    Over all positions of the plane, A is an autocorrelation as on a torus. Positions just outside
    the grid do not count, and their patches are 0 but for one line of 3 taps: they are taken off.
    """

    def expand(self, tensor: Tensor) -> Expanded:
        return _square(3, "constant").expand(tensor)

    def gram(self, tensor: Tensor) -> Gram:
        channels = tensor.shape[1]
        wide = functional.pad(tensor, (2, 2, 0, 2))
        whole = _by_differences(conv2d_weight(wide, (channels, channels, 3, 5), tensor))
        taps = whole.view(channels, 3, 3, channels, 3, 3)
        taps[:, 2, :, :, 2] -= _line_gram(tensor[:, :, 0], 2)
        taps[:, 0, :, :, 0] -= _line_gram(tensor[:, :, -1], 2)
        taps[:, :, 2, :, :, 2] -= _line_gram(tensor[:, :, :, 0], 1)
        taps[:, :, 0, :, :, 0] -= _line_gram(tensor[:, :, :, -1], 1)
        return whole

    def shared(self, tensor: Tensor) -> int:
        return tensor.shape[2] * tensor.shape[3]


def _square(kernel: int, mode: str) -> Patches:
    """The same patches in the general layout."""
    reach = kernel // 2
    return Patches((kernel,) * 2, (1, 1), (1, 1), (reach,) * 4, mode)


def _line_gram(line: Tensor, reach: int) -> Tensor:
    """Σ v vᵀ over 3 neighbours on a line (n, c, l), zeros around it: (c, 3, c, 3)."""
    windows = functional.pad(line, (reach, reach)).unfold(2, 3, 1)
    rows = rearrange(windows, "n c l k -> (n l) (c k)")
    return rearrange(rows.mT @ rows, "(c k) (d l) -> c k d l", k=3, l=3)


def torus_correlations(x: Tensor, kernel: int) -> Tensor:
    """R[c, c', d] for 0 ≤ d_row < k, |d_col| < k: the weight gradient of one convolution."""
    channels, reach = x.shape[1], kernel - 1
    wrapped = _wrapped(x, reach)
    shape = (channels, channels, kernel, 2 * kernel - 1)
    found: Tensor = conv2d_weight(wrapped, shape, x)
    return found


def _wrapped(x: Tensor, reach: int) -> Tensor:
    """The grid with `reach` pixels more to the right, left and below, however often it wraps."""
    height, width = x.shape[2:]
    if reach <= min(height, width):
        return circular_pad(x, (reach, reach, 0, reach))
    rows = torch.arange(height + reach, device=x.device) % height
    columns = torch.arange(-reach, width + reach, device=x.device) % width
    return x[:, :, rows][:, :, :, columns]


def _by_differences(correlations: Tensor) -> Gram:
    """A[(c,δ),(c',ε)] = R[c,c',ε−δ] from R for half of the differences (c, c', k, 2k−1)."""
    found = correlations.flatten(2)
    kernel = correlations.shape[2]
    shift, turned = (torch.tensor(t, device=found.device) for t in _pairs(kernel))
    both = torch.stack([found, found.transpose(0, 1)])
    return rearrange(both[turned, :, :, shift], "d e c f -> 1 (c d) (f e)")


Table = tuple[tuple[int, ...], ...]


@lru_cache(maxsize=16)
def _pairs(kernel: int) -> tuple[Table, Table]:
    """For each pair of offsets (δ, ε): which d is ±(ε−δ), and 1 where it is −(ε−δ)."""
    offsets = [(i, j) for i in range(kernel) for j in range(kernel)]
    shift, turned = [], []
    for delta in offsets:
        pairs = [(e[0] - delta[0], e[1] - delta[1]) for e in offsets]
        turned.append(tuple(int(d < (0, 0)) for d in pairs))
        upper = [(-d[0], -d[1]) if d < (0, 0) else d for d in pairs]
        shift.append(tuple(row * (2 * kernel - 1) + col + kernel - 1 for row, col in upper))
    return tuple(shift), tuple(turned)
