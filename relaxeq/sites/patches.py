"""Layouts of convolutions: patches of any grid, and of a torus or a plane by autocorrelation."""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import final

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from relaxeq.shapes import Expanded, Gram
from relaxeq.sites.circular import circular_pad
from relaxeq.sites.correlations import plane_correlations, torus_correlations
from relaxeq.sites.layouts import Layout
from relaxeq.sites.lines import patch_gram
from relaxeq.sites.outer import gram_of
from relaxeq.sites.positions import FEW, position_gram, spans

LEFT = 0.01
"""Part of a sum of squares, if it is no small one, that must be left when borders are taken off."""


@final
@dataclass(frozen=True)
class Patches(Layout):
    """Input patches of a convolution in 1, 2 or 3 dimensions: features (channel, offset) per group.

    `pad` and `mode` are those of `torch.nn.functional.pad` (last axis first). Works for every
    padding mode, stride, dilation and number of groups. The Gram is taken from products with the
    first taps of the rows, or position by position where there are few.
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
        if math.prod(self.kernel) == 1:  # patches are pixels
            return gram_of(self.expand(tensor))
        if self.shared(tensor) <= FEW:
            return self._by_positions(tensor)
        padded = self._padded(tensor)
        return patch_gram(padded, self.kernel, self.stride, self.dilation, self.groups)

    def _by_positions(self, tensor: Tensor) -> Gram:
        rank = len(self.kernel)
        pads = list(zip(self.pad[::2], self.pad[1::2], strict=True))[::-1]
        if self.mode != "constant":
            tensor, pads = self._padded(tensor), [(0, 0)] * rank
        axes = map(spans, tensor.shape[2:], self.kernel, self.stride, self.dilation, pads)
        return position_gram(tensor, list(axes), self.kernel, self.groups)

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
    so (2k−1)² correlation matrices of size C×C are enough, never an unfolded patch matrix. They
    come from Fourier transforms of x.
    """

    kernel: int

    def expand(self, tensor: Tensor) -> Expanded:
        return _square(self.kernel, "circular").expand(tensor)

    def gram(self, tensor: Tensor) -> Gram:
        if self.kernel == 1:
            return _square(1, "circular").gram(tensor)
        return _by_differences(torus_correlations(tensor, self.kernel))

    def shared(self, tensor: Tensor) -> int:
        return tensor.shape[2] * tensor.shape[3]


@final
@dataclass(frozen=True)
class PlanePatches(Layout):
    """All 3×3 patches of an H×W grid with zeros around it (stride 1).

    Over all positions of the plane, A is an autocorrelation as on a torus. Positions just outside
    the grid do not count, and their patches are 0 but for one line of 3 taps: they are taken off.
    Where that would leave rounding alone, of a border far brighter than the rest, A is summed as
    that of any patches.
    """

    def expand(self, tensor: Tensor) -> Expanded:
        return _square(3, "constant").expand(tensor)

    def gram(self, tensor: Tensor) -> Gram:
        if self.shared(tensor) <= FEW:
            return _square(3, "constant").gram(tensor)
        whole = _by_differences(plane_correlations(tensor, 3))
        squares = whole.diagonal(dim1=1, dim2=2)
        before = squares.detach().clone()
        taps = whole.unflatten(2, (-1, 3, 3)).unflatten(1, (-1, 3, 3))[0]
        taps[:, 2, :, :, 2] -= _line_gram(tensor[:, :, 0])
        taps[:, 0, :, :, 0] -= _line_gram(tensor[:, :, -1])
        taps[:, :, 2, :, :, 2] -= _line_gram(tensor[:, :, :, 0], inside=True)
        taps[:, :, 0, :, :, 0] -= _line_gram(tensor[:, :, :, -1], inside=True)
        if ((squares < LEFT * before) & (before > LEFT * before.max())).any():
            return _square(3, "constant").gram(tensor)
        return whole

    def shared(self, tensor: Tensor) -> int:
        return tensor.shape[2] * tensor.shape[3]


def _square(kernel: int, mode: str) -> Patches:
    """The same patches in the general layout."""
    reach = kernel // 2
    return Patches((kernel,) * 2, (1, 1), (1, 1), (reach,) * 4, mode)


def _line_gram(line: Tensor, inside: bool = False) -> Tensor:
    """Σ v vᵀ over 3 neighbours on a line (n, c, l), zeros around it: (c, 3, c, 3).

    Over all positions that see a pixel, or those `inside` alone.
    """
    pixels = rearrange(line, "n c l -> l n c").contiguous()
    zero, one, two = (_product(pixels[: len(pixels) - d], pixels[d:]) for d in range(3))
    first, last = (_product(end, end) if inside else 0 for end in (pixels[:1], pixels[-1:]))
    rows = [[zero - last, one, two], [one.mT, zero, one], [two.mT, one.mT, zero - first]]
    return torch.stack([torch.stack(row, 1) for row in rows], 1).transpose(2, 3)


def _product(left: Tensor, right: Tensor) -> Tensor:
    return left.flatten(0, 1).mT @ right.flatten(0, 1)


def _by_differences(correlations: Tensor) -> Gram:
    """A[(c,δ),(c',ε)] = R[c,c',ε−δ] from R (channel, channel, 2k−1, 2k−1)."""
    kernel = (correlations.shape[2] + 1) // 2
    shift = torch.tensor(_differences(kernel), device=correlations.device)
    by_place = rearrange(correlations, "c f r s -> (r s) c f")
    pairs = by_place.index_select(0, shift).unflatten(0, (kernel**2,) * 2)
    gram: Gram = rearrange(pairs, "d e c f -> 1 (c d) (f e)")
    return gram


@lru_cache(maxsize=16)
def _differences(kernel: int) -> tuple[int, ...]:
    """For each pair of offsets (δ, ε) the place of ε−δ, row after row."""
    offsets = list(product(range(kernel), repeat=2))
    wide, centre = 2 * kernel - 1, (kernel - 1) * 2 * kernel
    pairs = product(offsets, repeat=2)
    return tuple(centre + (e[0] - d[0]) * wide + e[1] - d[1] for d, e in pairs)
