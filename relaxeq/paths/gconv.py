"""GCONV and CONV: convolutions equivariant to Z2 ⋊ K for any subgroup K of the point group."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from relaxeq.fields import Field
from relaxeq.groups import Subgroup
from relaxeq.paths.base import Path, draw_normal
from relaxeq.paths.lattice import Orbits, orbits
from relaxeq.shapes import Expanded, Gram
from relaxeq.sites import Layout, Rearranged, Site, TorusPatches, gram_of, tap


@final
class GroupConv(Path):
    """W[c', h t, c, k, δ] = θ[c', t, c, h⁻¹k, R_h⁻¹ δ], h ∈ K, t in a transversal of K\\H.

    θ of shape (C'·|H|/|K|, C·|H|·k²) for regular fields is gathered into one dense filter for one
    circular `conv2d` (App. A; design: features in one spatial frame). K = {e} is CONV, a plain
    convolution over channels and orientations; a trivial source is the lifting convolution. The
    curvature is the plain convolution's, symmetrised: A = Σ_{h∈K} P_h A_conv P_hᵀ.
    """

    def __init__(
        self, source: Field, target: Field, kernel_size: int, part: Subgroup, label: str = "GCONV"
    ) -> None:
        super().__init__(label, source.shape, target.shape)
        self.channels = (target.channels, source.channels)
        self.kernel_size = kernel_size
        self.part = part
        self.orbits = orbits(part, source.orientations, target.orientations, kernel_size)
        rows, columns = self.orbits.free_rows, self.orbits.columns
        self.theta = nn.Parameter(torch.empty(target.channels * rows, source.channels * columns))
        sheet, row = self.orbits.row_of()
        self.register_buffer("_row", torch.from_numpy(row), persistent=False)
        self.register_buffer("_tap", torch.from_numpy(self.orbits.taps[sheet]), persistent=False)
        self._fan_in = source.channels * self.orbits.taps.shape[1]
        self.reset_parameters()

    def weight(self) -> Tensor:
        """The dense filter (C'·|H|, C·|H|, k, k)."""
        depth = (self.out_shape[0], self.in_shape[0], self.kernel_size, self.kernel_size)
        if self.part.order == 1:
            return self.theta.view(depth)
        out, in_ = self.channels
        theta = self.theta.view(out, self.orbits.free_rows, in_, self.orbits.columns)
        gathered = theta[:, self._row[:, None], :, self._tap]  # (k', taps, c', c)
        return gathered.permute(2, 0, 3, 1).reshape(depth)

    def forward(self, x: Tensor) -> Tensor:
        y = torus_conv(x, self.weight())
        return tap(self, "theta", x, y)

    def sites(self) -> dict[str, Site]:
        inputs: Layout = TorusPatches(self.kernel_size)
        outputs: Layout = Rearranged("n o h w -> n 1 (h w) o")
        if self.part.order > 1:
            inputs = OrbitPatches(TorusPatches(self.kernel_size), self.orbits, self.channels[1])
            outputs = OrbitRows(self.orbits, self.channels[0])
        return {"theta": Site(inputs, outputs, (1, *self.theta.shape))}

    def reset_parameters(
        self, gain: float = 1.0, generator: torch.Generator | None = None
    ) -> None:
        draw_normal(self.theta, gain / math.sqrt(self._fan_in), generator)

    @property
    def symmetry(self) -> str:
        return "Z2" if self.part.order == 1 else f"Z2 ⋊ {self.part.group.name}"


def torus_conv(x: Tensor, weight: Tensor, groups: int = 1) -> Tensor:
    """Circular "same" convolution with an odd square filter."""
    reach = weight.shape[-1] // 2
    padded = functional.pad(x, (reach,) * 4, mode="circular") if reach else x
    return functional.conv2d(padded, weight, groups=groups)


@final
@dataclass(frozen=True, eq=False)
class OrbitPatches(Layout):
    """Patches read in the frame of each sheet: a_(s,p) = P_s patch_p, shared over (sheet, position)."""

    patches: TorusPatches
    orbits: Orbits
    channels: int

    def expand(self, tensor: Tensor) -> Expanded:
        patches = self.patches.expand(tensor)[:, 0].unflatten(-1, (self.channels, -1))
        sheets = [_collect(patches, -1, taps, self.orbits.columns) for taps in self.orbits.taps]
        return torch.cat(sheets, dim=1).flatten(-2)[:, None]

    def gram(self, tensor: Tensor) -> Gram:
        plain = self.patches.gram(tensor)[0]
        split = plain.unflatten(0, (self.channels, -1)).unflatten(-1, (self.channels, -1))
        total = 0
        for taps in self.orbits.taps:
            rows = _collect(split, 1, taps, self.orbits.columns)
            total = total + _collect(rows, 3, taps, self.orbits.columns)
        return total.flatten(2).flatten(0, 1)[None]

    def shared(self, tensor: Tensor) -> int:
        return len(self.orbits.taps) * self.patches.shared(tensor)


@final
@dataclass(frozen=True, eq=False)
class OrbitRows(Layout):
    """Outputs read in the frame of each sheet: features (channel, row t), shared over (sheet, position)."""

    orbits: Orbits
    channels: int

    def expand(self, tensor: Tensor) -> Expanded:
        split = tensor.flatten(2).unflatten(1, (self.channels, -1))
        rows = torch.from_numpy(self.orbits.rows).to(tensor.device)
        picked = split[:, :, rows]  # (n, c', sheet, t, p)
        return picked.permute(0, 2, 4, 1, 3).flatten(3).flatten(1, 2)[:, None]

    def gram(self, tensor: Tensor) -> Gram:
        return gram_of(self.expand(tensor))

    def shared(self, tensor: Tensor) -> int:
        return len(self.orbits.rows) * tensor.shape[2] * tensor.shape[3]


def _collect(tensor: Tensor, axis: int, taps: np.ndarray, columns: int) -> Tensor:
    """Sum entries of `axis` into the classes that `taps` names."""
    index = torch.from_numpy(np.ascontiguousarray(taps)).to(tensor.device)
    shape = list(tensor.shape)
    shape[axis] = columns
    return tensor.new_zeros(shape).index_add(axis, index, tensor)
