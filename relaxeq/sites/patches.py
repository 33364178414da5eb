"""Layouts of convolutions: patches of any grid, and patches of a torus by autocorrelation."""

from dataclasses import dataclass
from functools import lru_cache
from typing import final

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

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
    """All k×k patches of an H×W torus (k odd, stride 1): features (channel, row offset, column offset).

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
        grid = (tensor.shape[2], tensor.shape[3])
        rows = rearrange(tensor, "n c h w -> c n h w").contiguous()
        flat = rows.flatten(1)
        shifts, table, flipped = _differences(self.kernel, grid)
        found = torch.stack([_shifted(rows, shift) @ flat.mT for shift in shifts])
        both = torch.stack([found, found.mT])
        index = torch.tensor(table, device=tensor.device)
        turned = torch.tensor(flipped, device=tensor.device, dtype=torch.long)
        return rearrange(both[turned, index], "d e c f -> 1 (c d) (f e)")

    def shared(self, tensor: Tensor) -> int:
        return tensor.shape[2] * tensor.shape[3]


def _shifted(rows: Tensor, shift: tuple[int, int]) -> Tensor:
    """x[c, n, p+d] as a matrix (c, n p)."""
    return torch.roll(rows, (-shift[0], -shift[1]), dims=(2, 3)).flatten(1)


Table = tuple[tuple[int, ...], ...]


@lru_cache(maxsize=64)
def _differences(
    kernel: int, grid: tuple[int, int]
) -> tuple[tuple[tuple[int, int], ...], Table, Table]:
    """The shifts d to correlate, and for each pair of offsets (δ, ε) which of them, and transposed or not.

    `found[i]` is R[:, :, d_i] transposed; the pair (δ, ε) needs R[:, :, ε−δ].
    """
    reach = kernel // 2
    offsets = [(i, j) for i in range(-reach, reach + 1) for j in range(-reach, reach + 1)]
    known: dict[tuple[int, int], int] = {}
    table, flipped = [], []
    for delta in offsets:
        row, turns = [], []
        for epsilon in offsets:
            difference = tuple(
                (e - d) % size for e, d, size in zip(epsilon, delta, grid, strict=True)
            )
            opposite = tuple(-d % size for d, size in zip(difference, grid, strict=True))
            if opposite in known:
                row.append(known[opposite])
                turns.append(0)
            else:
                row.append(known.setdefault(difference, len(known)))
                turns.append(1)
        table.append(tuple(row))
        flipped.append(tuple(turns))
    return tuple(known), tuple(table), tuple(flipped)
