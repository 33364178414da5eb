"""Layouts of depthwise filters: a block of weights per channel."""

from dataclasses import dataclass
from typing import final

import torch
from einops import rearrange
from torch import Tensor

from relaxeq.paths.stages.lattice import Index, Sheets
from relaxeq.paths.stages.orbit import collect
from relaxeq.shapes import Expanded, Gram
from relaxeq.sites import Layout, TorusPatches, gram_of


@final
@dataclass(frozen=True, eq=False)
class DepthwisePatches(Layout):
    """Patches of single channels, turned back: block (c, t), shared (sheet, position), features δ.

    A tensor of C·|H| channels is regular, one of C is trivial and read as its lift.
    """

    kernel: int
    sheets: Sheets
    channels: int

    def expand(self, tensor: Tensor) -> Expanded:
        patches = TorusPatches(self.kernel).expand(tensor)
        split = rearrange(patches, "n 1 p (c k d) -> n c k p d", c=self.channels, d=self.kernel**2)
        return rearrange(self._turned(split, (4,)), "s n c t p d -> n (c t) (s p) d")

    def gram(self, tensor: Tensor) -> Gram:
        found = _correlations(tensor, self.kernel)  # (c k, d, d')
        split = rearrange(found, "(c k) d e -> 1 c k d e", c=self.channels)
        return rearrange(self._turned(split, (3, 4)), "s 1 c t d e -> s (c t) d e").sum(0)

    def _turned(self, split: Tensor, axes: tuple[int, ...]) -> Tensor:
        """Sheets (s, n, c, t, …) of (n, c, k, …), tap δ of each of the axes moved to R_h⁻¹ δ."""
        count, width = self.sheets.rows.shape
        split = split.expand(-1, -1, count * width, *[-1] * (split.ndim - 3))
        found = []
        for row, taps in zip(self.sheets.rows.tolist(), self.sheets.taps, strict=True):
            part = split[:, :, row]
            for axis in axes:
                part = collect(part, axis, taps, len(taps))
            found.append(part)
        return torch.stack(found)

    def shared(self, tensor: Tensor) -> int:
        return len(self.sheets.rows) * tensor.shape[2] * tensor.shape[3]


@final
@dataclass(frozen=True, eq=False)
class SheetBlocks(Layout):
    """Outputs z[c, h t, p] of depthwise filters: block (c, t), shared (sheet, position)."""

    sheets: Sheets
    channels: int

    def expand(self, tensor: Tensor) -> Expanded:
        rows = torch.from_numpy(self.sheets.rows).to(tensor.device)
        picked: Tensor = tensor.flatten(2).unflatten(1, (self.channels, -1))[:, :, rows]
        return rearrange(picked, "n c s t p -> n (c t) (s p) 1")

    def gram(self, tensor: Tensor) -> Gram:
        return gram_of(self.expand(tensor))

    def shared(self, tensor: Tensor) -> int:
        return len(self.sheets.rows) * tensor.shape[2] * tensor.shape[3]


@final
@dataclass(frozen=True, eq=False)
class ChannelBlocks(Layout):
    """Orientations read in the frame of each sheet: block c, shared (sheet, position), features u.

    `frames[s, u]` is the orientation that feature u reads on sheet s.
    """

    frames: Index
    channels: int

    def expand(self, tensor: Tensor) -> Expanded:
        frames = torch.from_numpy(self.frames).to(tensor.device)
        picked: Tensor = tensor.flatten(2).unflatten(1, (self.channels, -1))[:, :, frames]
        return rearrange(picked, "n c s u p -> n c (s p) u")

    def gram(self, tensor: Tensor) -> Gram:
        return gram_of(self.expand(tensor))

    def shared(self, tensor: Tensor) -> int:
        return len(self.frames) * tensor.shape[2] * tensor.shape[3]


def _correlations(x: Tensor, kernel: int) -> Tensor:
    """Σ_{n,p} x[c, p+δ] x[c, p+ε] as (c, δ, ε): it depends on ε−δ, up to its sign, alone."""
    steps = torch.arange(kernel**2, device=x.device)
    row = (steps[None] // kernel) - (steps[:, None] // kernel)
    column = (steps[None] % kernel) - (steps[:, None] % kernel)
    code = (row * (2 * kernel - 1) + column).abs()  # d and −d share one
    distances = [divmod(d + kernel - 1, 2 * kernel - 1) for d in range(int(code.max()) + 1)]
    found = [
        (x * torch.roll(x, (-dy, kernel - 1 - dx), dims=(2, 3))).sum((0, 2, 3))
        for dy, dx in distances
    ]
    return torch.stack(found)[code].permute(2, 0, 1)
