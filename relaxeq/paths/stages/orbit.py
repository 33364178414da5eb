"""Full filters: a parameter spread over the orbits of a subgroup, as one dense convolution."""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from relaxeq.fields import Field
from relaxeq.groups import Subgroup
from relaxeq.paths.exact import Exact
from relaxeq.paths.stages.lattice import Index, Orbits, check_grid, orbits
from relaxeq.paths.stages.stage import DenseStage
from relaxeq.shapes import Expanded, Gram
from relaxeq.sites import Layout, Rearranged, Site, TorusPatches, gram_of


@final
class OrbitStage(DenseStage):
    """W[c', h t, c, k, δ] = θ[c', t, c, h⁻¹k, R_h⁻¹ δ], h ∈ K, t in a transversal of K\\H.

    θ of shape (C'·|H|/|K|, C·|H|·k²) for regular fields; a trivial source or target counts one
    orientation in the place of |H|, and a trivial target has a parameter per orbit of taps.
    """

    def __init__(self, source: Field, target: Field, kernel_size: int, part: Subgroup) -> None:
        super().__init__()
        self.channels = (target.channels, source.channels)
        self.kernel_size = kernel_size
        self.depth = (target.depth, source.depth)
        check_grid(part, source.size)
        self.orbits = orbits(part, source.orientations, target.orientations, kernel_size)
        rows, columns = self.orbits.free_rows, self.orbits.columns
        self.shape = (target.channels * rows, source.channels * columns)
        self.fan_in = source.channels * self.orbits.taps.shape[1]
        self.is_plain = part.order == 1
        taps, places = self.orbits.taps.ravel(), np.argsort(self.orbits.rows, axis=None)
        self._tap = Exact(taps)
        self._place = Exact(places)

    def filter(self, theta: Tensor) -> Tensor:
        """The dense filter (C'·|H|, C·|H|, k, k)."""
        filters = (*self.depth, self.kernel_size, self.kernel_size)
        if self.is_plain:
            return theta.view(filters)
        (out, in_), (count, width) = self.channels, self.orbits.rows.shape
        # One index_select of whole columns: its gradient is many times faster than a free gather's.
        gathered = theta.view(-1, self.orbits.columns).index_select(1, self._tap.tensor)
        sheets = gathered.view(out, width, in_, count, -1).permute(0, 3, 1, 2, 4)
        if width == 1:  # the sheets are the orientations
            return sheets.reshape(filters)
        return sheets.flatten(1, 2).index_select(1, self._place.tensor).view(filters)

    def site(self) -> Site:
        inputs: Layout = TorusPatches(self.kernel_size)
        outputs: Layout = Rearranged("n o h w -> n 1 (h w) o")
        if not self.is_plain:
            inputs = OrbitPatches(TorusPatches(self.kernel_size), self.orbits, self.channels[1])
            outputs = SheetRows(self.orbits.rows, self.channels[0])
        return Site(inputs, outputs, (1, *self.shape))


@final
@dataclass(frozen=True, eq=False)
class OrbitPatches(Layout):
    """Patches read in the frame of each sheet: a_(s,p) = P_s patch_p, shared (sheet, position).

    The Gram is that of the plain convolution, symmetrised: A = Σ_{h∈K} P_h A_conv P_hᵀ.
    """

    patches: TorusPatches
    orbits: Orbits
    channels: int

    def expand(self, tensor: Tensor) -> Expanded:
        patches = self.patches.expand(tensor)[:, 0].unflatten(-1, (self.channels, -1))
        sheets = [collect(patches, -1, taps, self.orbits.columns) for taps in self.orbits.taps]
        return torch.cat(sheets, dim=1).flatten(-2)[:, None]

    def gram(self, tensor: Tensor) -> Gram:
        plain = self.patches.gram(tensor)[0]
        split = plain.unflatten(0, (self.channels, -1)).unflatten(-1, (self.channels, -1))
        total = torch.zeros((), dtype=tensor.dtype, device=tensor.device)
        for taps in self.orbits.taps:
            rows = collect(split, 1, taps, self.orbits.columns)
            total = total + collect(rows, 3, taps, self.orbits.columns)
        return total.flatten(2).flatten(0, 1)[None]

    def shared(self, tensor: Tensor) -> int:
        return len(self.orbits.taps) * self.patches.shared(tensor)


@final
@dataclass(frozen=True, eq=False)
class SheetRows(Layout):
    """Outputs read in the frame of each sheet: features (channel, row t), shared (sheet, position).

    `rows[s, t]` is the orientation of row t on sheet s.
    """

    rows: Index
    channels: int

    def expand(self, tensor: Tensor) -> Expanded:
        split = tensor.flatten(2).unflatten(1, (self.channels, -1))
        rows = torch.from_numpy(self.rows).to(tensor.device)
        picked: Tensor = split[:, :, rows]  # (n, c', sheet, t, p)
        return picked.permute(0, 2, 4, 1, 3).flatten(3).flatten(1, 2)[:, None]

    def gram(self, tensor: Tensor) -> Gram:
        return gram_of(self.expand(tensor))

    def shared(self, tensor: Tensor) -> int:
        return len(self.rows) * tensor.shape[2] * tensor.shape[3]


def collect(tensor: Tensor, axis: int, taps: Index, columns: int) -> Tensor:
    """Sum entries of `axis` into the classes that `taps` names."""
    index = torch.from_numpy(np.ascontiguousarray(taps)).to(tensor.device)
    shape = list(tensor.shape)
    shape[axis] = columns
    return tensor.new_zeros(shape).index_add(axis, index, tensor)
