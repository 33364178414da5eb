"""Pointwise filters: a subgroup turns the filter, and never mixes its own orientations."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from relaxeq.fields import Field
from relaxeq.groups import Subgroup
from relaxeq.paths.lattice import Index, Sheets, sheets
from relaxeq.paths.orbit_stage import SheetRows, collect
from relaxeq.paths.stage import Stage
from relaxeq.paths.torus import torus_conv
from relaxeq.shapes import Expanded, Gram
from relaxeq.sites import Layout, Site, TorusPatches


@final
class SheetStage(Stage):
    """W[c', h t', c, h t, δ] = θ[c', t', c, t, R_h⁻¹ δ] for h ∈ K, and 0 where the h differ.

    With K = H this is the paper's pointwise filter δ_{k'=k} θ[c', c, R_k⁻¹ δ] (App. F.3). θ has
    shape (C'·|H|/|K|, C·|H|/|K|·k²), both fields are regular, and each sheet h costs one
    convolution of its own channels: 1/|K| of the dense filter.
    """

    _into: Tensor
    _back: Tensor
    _tap: Tensor

    def __init__(self, source: Field, target: Field, kernel_size: int, part: Subgroup) -> None:
        super().__init__()
        assert source.orientations == target.orientations == part.parent.order
        self.channels = (target.channels, source.channels)
        self.kernel_size = kernel_size
        self.sheets = sheets(part, kernel_size)
        width = self.sheets.rows.shape[1]
        self.shape = (target.channels * width, source.channels * width * kernel_size**2)
        self.fan_in = self.shape[1]
        count, order = self.sheets.rows.shape[0], part.parent.order
        into = np.stack([self._places(source.channels, order, s) for s in range(count)]).ravel()
        back = np.stack([self._places(target.channels, order, s) for s in range(count)]).ravel()
        self.register_buffer("_into", torch.from_numpy(into), persistent=False)
        self.register_buffer("_back", torch.from_numpy(np.argsort(back)), persistent=False)
        self.register_buffer("_tap", torch.from_numpy(self.sheets.taps), persistent=False)

    def _places(self, channels: int, order: int, sheet: int) -> Index:
        """Indices in the field's tensor of the channels (c, t) of one sheet."""
        places: Index = np.arange(channels)[:, None] * order + self.sheets.rows[sheet]
        return places.ravel()

    def forward(self, x: Tensor, theta: Tensor) -> Tensor:
        taps = theta.view(len(theta), -1, self.kernel_size**2)
        parts = x.index_select(1, self._into).chunk(len(self._tap), 1)
        turned = [
            torus_conv(part, taps[:, :, tap].unflatten(2, (self.kernel_size, self.kernel_size)))
            for part, tap in zip(parts, self._tap, strict=True)
        ]
        return torch.cat(turned, 1).index_select(1, self._back)

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
