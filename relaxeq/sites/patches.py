"""Layouts of convolutions: patches of any grid, and patches of a torus by autocorrelation."""

from dataclasses import dataclass
from functools import lru_cache
from typing import final

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_weight

from relaxeq.shapes import Expanded, Gram
from relaxeq.sites.layouts import Layout, gram_of


@final
@dataclass(frozen=True)
class Patches(Layout):
    """Input patches of a convolution in 1, 2 or 3 dimensions: features (channel, offset) per group.

    `pad` and `mode` are those of `torch.nn.functional.pad` (last axis first). Works for every
    padding mode, stride, dilation and number of groups.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pad: tuple[int, ...]
    mode: str
    groups: int = 1

    def expand(self, tensor: Tensor) -> Expanded:
        windows = functional.pad(tensor, self.pad, mode=self.mode) if any(self.pad) else tensor
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
        return gram_of(self.expand(tensor))

    def shared(self, tensor: Tensor) -> int:
        return self.expand(tensor[:1]).shape[2]


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
        reach = self.kernel // 2
        padded = functional.pad(tensor, (reach,) * 4, mode="circular")
        windows = padded.unfold(2, self.kernel, 1).unfold(3, self.kernel, 1)
        return rearrange(windows, "n c h w k l -> n 1 (h w) (c k l)")

    def gram(self, tensor: Tensor) -> Gram:
        found = torus_correlations(tensor, self.kernel).flatten(2)
        shift, turned = (torch.tensor(t, device=tensor.device) for t in _pairs(self.kernel))
        both = torch.stack([found, found.transpose(0, 1)])
        return rearrange(both[turned, :, :, shift], "d e c f -> 1 (c d) (f e)")

    def shared(self, tensor: Tensor) -> int:
        return tensor.shape[2] * tensor.shape[3]


def torus_correlations(x: Tensor, kernel: int) -> Tensor:
    """R[c, c', d] for 0 ≤ d_row < k, |d_col| < k: the weight gradient of one convolution."""
    channels, height, width = x.shape[1:]
    reach = kernel - 1
    rows = torch.arange(height + reach, device=x.device) % height
    columns = torch.arange(-reach, width + reach, device=x.device) % width
    wrapped = x[:, :, rows][:, :, :, columns]
    shape = (channels, channels, kernel, 2 * kernel - 1)
    found: Tensor = conv2d_weight(wrapped, shape, x)
    return found


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
