"""Steerable filters: the basis of escnn, for point groups that do not map the grid to itself."""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from relaxeq.fields import Field
from relaxeq.groups import PointGroup, Subgroup
from relaxeq.groups.abstract import Floats
from relaxeq.paths.escnn_bridge import steerable_basis
from relaxeq.paths.exact import Exact
from relaxeq.paths.filter_path import FilterPath
from relaxeq.paths.stages.lattice import Index, keeps_the_lattice, moved_taps, orientation_rows
from relaxeq.paths.stages.orbit import SheetRows
from relaxeq.paths.stages.stage import DenseStage
from relaxeq.shapes import Expanded, Gram
from relaxeq.sites import Layout, Site, TorusPatches


@final
class SteerStage(DenseStage):
    """W[c', h' t', c, h t, δ] = Σ_m θ[c', t', c, t, m] B[m, h', h, δ], h, h' ∈ K, t, t' ∈ K\\H.

    B (M, |K|, |K|, k²) is escnn's sampled basis of steerable filters, θ has shape
    (C'·|H|/|K|, C·|H|/|K|·M) for regular fields; a trivial field counts one orientation. The
    elements of K that map the grid to itself are kept exactly, the others as well as a sampled
    filter can.
    """

    def __init__(self, source: Field, target: Field, kernel_size: int, part: Subgroup) -> None:
        super().__init__()
        regular = source.orientations > 1, target.orientations > 1
        self.channels = (target.channels, source.channels)
        self.kernel_size = kernel_size
        basis = steerable_basis(part, *regular, kernel_size)
        self.basis = Exact(symmetrised(basis, part, kernel_size))
        self.rows = tuple(
            orientation_rows(part) if many else np.zeros((1, 1), np.int64) for many in regular
        )
        into, out = self.rows
        self.shape = (
            target.channels * out.shape[1],
            source.channels * into.shape[1] * len(self.basis.array),
        )
        power = float(np.square(self.basis.array).sum()) / out.shape[0]
        self.fan_in = source.channels * into.shape[1] * power
        self._into = Exact(_back(into))
        self._out = Exact(_back(out))

    def filter(self, theta: Tensor) -> Tensor:
        """The dense filter (C'·|H|, C·|H|, k, k)."""
        out, into = self.rows[1].shape[1], self.rows[0].shape[1]
        split = theta.view(self.channels[0], out, self.channels[1], into, -1)
        blocks = torch.einsum("oucvm,mabd->ouacvbd", split, self.basis.tensor)
        rows: Tensor = blocks.flatten(4, 5).flatten(1, 2)[:, self._out.tensor]
        turned: Tensor = rows[:, :, :, self._into.tensor]
        size = self.kernel_size
        filters: Tensor = turned.flatten(2, 3).flatten(0, 1).unflatten(2, (size, size))
        return filters

    def site(self) -> Site:
        patches = TorusPatches(self.kernel_size)
        inputs = SteerPatches(patches, self.basis, self.rows[0], self.channels[1])
        return Site(inputs, SheetRows(self.rows[1], self.channels[0]), (1, *self.shape))


@final
class SteerConv(FilterPath):
    """STEER: a convolution with steerable filters of K, one stage."""

    def __init__(
        self,
        source: Field,
        target: Field,
        kernel_size: int,
        part: Subgroup,
        label: str = "STEER",
    ) -> None:
        stage = SteerStage(source, target, kernel_size, part)
        super().__init__(label, source, target, part, stage)


@final
@dataclass(frozen=True, eq=False)
class SteerPatches(Layout):
    """a[n, (h', p), (c, t, m)] = Σ_{h,δ} B[m, h', h, δ] x[n, c, h t, p+δ], shared over (h', p)."""

    patches: TorusPatches
    basis: Exact
    rows: Index
    channels: int

    def expand(self, tensor: Tensor) -> Expanded:
        split = self._by_sheet(self.patches.expand(tensor)[:, 0], 2)  # (n, p, c, s, t, δ)
        found = torch.einsum("npcstd,masd->napctm", split, self._basis(tensor))
        return rearrange(found, "n a p c t m -> n 1 (a p) (c t m)")

    def gram(self, tensor: Tensor) -> Gram:
        plain = self._by_sheet(self._by_sheet(self.patches.gram(tensor)[0], 1), 0)
        basis = self._basis(tensor)
        half = torch.einsum("cstdCSTD,MaSD->cstdCTMa", plain, basis)
        found = torch.einsum("cstdCTMa,masd->ctmCTM", half, basis)
        return rearrange(found, "c t m C T M -> 1 (c t m) (C T M)")

    def shared(self, tensor: Tensor) -> int:
        return self.basis.array.shape[1] * self.patches.shared(tensor)

    def _basis(self, like: Tensor) -> Tensor:
        return self.basis.tensor.to(like)

    def _by_sheet(self, tensor: Tensor, axis: int) -> Tensor:
        """An axis (c, k, δ) as the four axes (c, s, t, δ), with k = rows[s, t]."""
        taps = self.basis.array.shape[-1]
        split = tensor.unflatten(axis, (self.channels, -1, taps))
        index = torch.from_numpy(self.rows.ravel()).to(tensor.device)
        picked: Tensor = split.index_select(axis + 1, index)
        sheets: Tensor = picked.unflatten(axis + 1, self.rows.shape)
        return sheets


def symmetrised(basis: Floats, part: Subgroup, kernel_size: int) -> Floats:
    """The mean of the basis over the elements of K that map the grid to itself.

    escnn samples in float32; this leaves no error of that size where equivariance can be exact.
    """
    own = part.group
    assert isinstance(own, PointGroup)
    sizes, flat = basis.shape, basis.reshape(*basis.shape[:2], -1)
    kept = [h for h in range(own.order) if keeps_the_lattice(own.subgroup([h]))]
    total = np.zeros_like(flat)
    for h in kept:
        turned = flat[:, :, moved_taps(own, h, sizes[2], kernel_size)]
        total += turned[:, own.mul[own.inv[h]]] if sizes[1] > 1 else turned
    return (total / len(kept)).reshape(sizes)


def _back(rows: Index) -> Index:
    """Where orientation k = rows[s, t] stands in the order (t, s)."""
    return np.argsort(rows.T, axis=None)
