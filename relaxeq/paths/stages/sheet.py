"""Pointwise filters: a subgroup turns the filter, and never mixes its own orientations."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from relaxeq.fields import Field
from relaxeq.groups import Subgroup
from relaxeq.paths.exact import Exact
from relaxeq.paths.stages.lattice import Sheets, check_grid, sheets
from relaxeq.paths.stages.orbit import SheetRows, collect
from relaxeq.paths.stages.stage import FilterStage
from relaxeq.paths.stages.torus import torus_conv
from relaxeq.shapes import Expanded, Gram
from relaxeq.sites import Layout, Site, TorusPatches


@final
class SheetStage(FilterStage):
    """W[c', h t', c, h t, δ] = θ[c', t', c, t, R_h⁻¹ δ] for h ∈ K, and 0 where the h differ.

    With K = H this is the paper's pointwise filter δ_{k'=k} θ[c', c, R_k⁻¹ δ] (App. F.3). θ has
    shape (C'·|H|/|K|, C·|H|/|K|·k²), both fields are regular, and each sheet h costs one
    convolution of its own channels: 1/|K| of the dense filter.
    """

    def __init__(self, source: Field, target: Field, kernel_size: int, part: Subgroup) -> None:
        super().__init__()
        assert source.orientations == target.orientations == part.parent.order
        self.channels = (target.channels, source.channels)
        self.kernel_size = kernel_size
        check_grid(part, source.size)
        self.sheets = sheets(part, kernel_size)
        self.count, self.width = self.sheets.rows.shape
        taps, rows = self.sheets.taps.ravel(), self.sheets.rows.ravel()
        self.shape = (
            target.channels * self.width,
            source.channels * self.width * kernel_size**2,
        )
        self.fan_in = self.shape[1]
        self._tap = Exact(taps)
        self._rows = Exact(rows)
        self._place = Exact(np.argsort(rows))

    def _turned(self, theta: Tensor) -> Tensor:
        """The filter of every sheet, shape (C'·T, C·T, |K|, k²), T = |H|/|K|."""
        turned = theta.view(-1, self.kernel_size**2).index_select(1, self._tap.tensor)
        return turned.view(len(theta), -1, self.count, self.kernel_size**2)

    def filter(self, theta: Tensor) -> Tensor:
        (out, in_), width, size = self.channels, self.width, self.kernel_size
        split = self._turned(theta).view(out, width, in_, width, self.count, -1)
        blocks = torch.diag_embed(split.movedim(4, -1), dim1=1, dim2=4).flatten(4, 5).flatten(1, 2)
        if width > 1:
            place = self._place.tensor
            blocks = blocks.index_select(1, place).index_select(3, place)
        order = self.count * width
        return blocks.reshape(out * order, in_ * order, size, size)

    def forward(self, x: Tensor, theta: Tensor) -> Tensor:
        filters = self._turned(theta).unflatten(3, (self.kernel_size, self.kernel_size)).unbind(2)
        split: Tensor = x.unflatten(1, (self.channels[1], -1))
        if self.width > 1:
            split = split.index_select(2, self._rows.tensor)
        parts = split.unflatten(2, (self.count, self.width)).unbind(2)
        images = [torus_conv(p.flatten(1, 2), f) for p, f in zip(parts, filters, strict=True)]
        stacked = torch.stack([y.unflatten(1, (-1, self.width)) for y in images], 2).flatten(2, 3)
        if self.width > 1:
            stacked = stacked.index_select(2, self._place.tensor)
        return stacked.flatten(1, 2)

    def site(self) -> Site:
        inputs = SheetPatches(TorusPatches(self.kernel_size), self.sheets, self.channels[1])
        outputs = SheetRows(self.sheets.rows, self.channels[0])
        return Site(inputs, outputs, (1, *self.shape))


@final
@dataclass(frozen=True, eq=False)
class SheetPatches(Layout):
    """Patches of a sheet's channels, turned back: features (c, t, δ), shared (sheet, position)."""

    patches: TorusPatches
    sheets: Sheets
    channels: int

    def expand(self, tensor: Tensor) -> Expanded:
        found = [self._turned(self.patches.expand(x), s, -1) for s, x in self._split(tensor)]
        return torch.cat(found, dim=2)

    def gram(self, tensor: Tensor) -> Gram:
        grams = [
            self._turned(self._turned(self.patches.gram(x), s, 1), s, 2)
            for s, x in self._split(tensor)
        ]
        return torch.stack(grams).sum(0)

    def shared(self, tensor: Tensor) -> int:
        return len(self.sheets.rows) * self.patches.shared(tensor)

    def _split(self, tensor: Tensor) -> Iterator[tuple[int, Tensor]]:
        split = tensor.unflatten(1, (self.channels, -1))
        for sheet, row in enumerate(self.sheets.rows.tolist()):
            yield sheet, split[:, :, row].flatten(1, 2)

    def _turned(self, tensor: Tensor, sheet: int, axis: int) -> Tensor:
        """Move tap δ of the axis (channel, δ) to R_h⁻¹ δ."""
        axis = axis % tensor.ndim
        taps = self.sheets.taps[sheet]
        split = tensor.unflatten(axis, (-1, len(taps)))
        return collect(split, axis + 1, taps, len(taps)).flatten(axis, axis + 1)
