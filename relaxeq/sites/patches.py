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
from torch.nn.grad import conv2d_weight

from relaxeq.shapes import Expanded, Gram
from relaxeq.sites.circular import circular_pad
from relaxeq.sites.layouts import Layout
from relaxeq.sites.lines import patch_gram
from relaxeq.sites.outer import gram_of


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
    so (2k−1)² correlation matrices of size C×C are enough, never an unfolded patch matrix. They
    come from Fourier transforms of x.
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
        half = conv2d_weight(wide, (channels, channels, 3, 5), tensor)
        mirrored = half[:, :, 1:].flip(2, 3).transpose(0, 1)
        whole = _by_differences(torch.cat([mirrored, half], 2))
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
    """R[c, c', d] for rows and columns |d| < k: (channel, channel, 2k−1, 2k−1).

    Per frequency one Gram over the data, X_cᴴ X_c', transformed back to these differences alone.
    """
    height, width = x.shape[2:]
    waves = torch.view_as_real(torch.fft.rfft2(x)).flatten(2, 3)
    cosines, sines = (part.permute(2, 0, 1).contiguous() for part in waves.unbind(3))
    even = torch.baddbmm(cosines.mT @ cosines, sines.mT, sines)
    odd = cosines.mT @ sines
    spectrum = torch.cat([even, odd - odd.mT]).flatten(1)
    found = _transform_back(height, width, kernel).to(spectrum) @ spectrum
    return rearrange(found, "(r s) (c f) -> c f r s", r=2 * kernel - 1, c=x.shape[1])


@lru_cache(maxsize=64)
def _transform_back(height: int, width: int, kernel: int) -> Tensor:
    """The inverse transform of a real grid, (differences, real and imaginary parts of waves)."""
    reach = torch.arange(1 - kernel, kernel, dtype=torch.float64)
    rows = torch.outer(reach, torch.arange(height)) / height
    columns = torch.outer(reach, torch.arange(width // 2 + 1)) / width
    turns = rows[:, None, :, None] + columns[None, :, None, :]
    angle = (2 * torch.pi * turns).flatten(2).flatten(0, 1)
    twice = torch.full((height, width // 2 + 1), 2.0, dtype=torch.float64)
    twice[:, [0, -1] if width % 2 == 0 else [0]] = 1.0  # other waves come with their mirror images
    weight = twice.flatten() / (height * width)
    return torch.cat([weight * angle.cos(), -weight * angle.sin()], 1)


def _by_differences(correlations: Tensor) -> Gram:
    """A[(c,δ),(c',ε)] = R[c,c',ε−δ] from R (channel, channel, 2k−1, 2k−1)."""
    kernel = (correlations.shape[2] + 1) // 2
    shift = torch.tensor(_differences(kernel), device=correlations.device)
    by_place = rearrange(correlations, "c f r s -> (r s) c f")
    return rearrange(by_place[shift], "d e c f -> 1 (c d) (f e)")


@lru_cache(maxsize=16)
def _differences(kernel: int) -> tuple[tuple[int, ...], ...]:
    """For each pair of offsets (δ, ε) the place of ε−δ, row after row."""
    offsets = list(product(range(kernel), repeat=2))
    wide, centre = 2 * kernel - 1, (kernel - 1) * 2 * kernel
    return tuple(
        tuple(centre + (e[0] - d[0]) * wide + e[1] - d[1] for e in offsets) for d in offsets
    )
