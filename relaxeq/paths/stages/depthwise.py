"""Depthwise filters: every channel by itself, in space or over orientations."""

from typing import final

import torch
from torch import Tensor

from relaxeq.fields import Field
from relaxeq.groups import Subgroup
from relaxeq.paths.exact import Exact
from relaxeq.paths.stages.depthwise_layouts import ChannelBlocks, DepthwisePatches, SheetBlocks
from relaxeq.paths.stages.lattice import check_grid, sheets
from relaxeq.paths.stages.stage import Stage
from relaxeq.paths.stages.torus import torus_conv
from relaxeq.sites import Site


@final
class SpatialStage(Stage):
    """z[c, h t, p] = Σ_δ θ[c, t, R_h⁻¹ δ] x[c, h t, p+δ]: one turned k×k filter per channel.

    θ has shape (C·|H|/|K|, k²). A trivial source is lifted first: x[c, h t] = x[c].
    """

    def __init__(self, source: Field, kernel_size: int, part: Subgroup) -> None:
        super().__init__()
        self.source, self.kernel_size = source, kernel_size
        check_grid(part, source.size)
        self.sheets = sheets(part, kernel_size)
        self.shape = (source.channels * part.index, kernel_size**2)
        self.fan_in = kernel_size**2
        sheet, row = self.sheets.row_of()
        self._row = Exact(row[:, None])
        self._tap = Exact(self.sheets.taps[sheet])

    def forward(self, x: Tensor, theta: Tensor) -> Tensor:
        split = theta.view(self.source.channels, -1, self.kernel_size**2)
        filters = split[:, self._row.tensor, self._tap.tensor]
        size = self.kernel_size
        return torus_conv(x, filters.view(-1, 1, size, size), groups=self.source.depth)

    def site(self) -> Site:
        inputs = DepthwisePatches(self.kernel_size, self.sheets, self.source.channels)
        outputs = SheetBlocks(self.sheets, self.source.channels)
        return Site(inputs, outputs, (self.shape[0], 1, self.shape[1]))


@final
class TurnStage(Stage):
    """z[c, h t, p] = Σ_k θ[c, t, h⁻¹k] x[c, k, p]: each channel mixes its own orientations.

    θ has shape (C·|H|/|K|, |H|); both fields are regular.
    """

    def __init__(self, source: Field, part: Subgroup) -> None:
        super().__init__()
        assert source.orientations == part.parent.order
        self.channels, self.part = source.channels, part
        self.sheets = sheets(part, 1)
        self.shape = (source.channels * part.index, part.parent.order)
        self.fan_in = part.parent.order
        sheet, row = self.sheets.row_of()
        back = part.parent.mul[part.parent.inv[list(part.embedding)]]  # [s, k] = h⁻¹ k
        self._row = Exact(row[:, None])
        self._back = Exact(back[sheet])

    def forward(self, x: Tensor, theta: Tensor) -> Tensor:
        rows = theta.view(self.channels, -1, self.shape[1])
        matrices = rows[:, self._row.tensor, self._back.tensor]
        split = x.flatten(2).unflatten(1, (self.channels, -1))
        return torch.einsum("cok,nckp->ncop", matrices, split).reshape(x.shape)

    def site(self) -> Site:
        rows = self.sheets.rows
        turned = self.part.parent.mul[list(self.part.embedding)]  # [s, u] = h u
        shape = (self.channels, rows.shape[1], self.shape[1])
        return Site(ChannelBlocks(turned, self.channels), ChannelBlocks(rows, self.channels), shape)
