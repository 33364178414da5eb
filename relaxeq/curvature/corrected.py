"""Eigenvalue-corrected and diagonal curvature: exact second moments of per-datum gradients."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor, nn

from relaxeq.curvature.batches import Batch, read_again
from relaxeq.curvature.blocks import CorrectedBlock, DiagonalBlock
from relaxeq.curvature.collect import Collector, Pass, Totals, check_finite, collect
from relaxeq.curvature.kfac import kronecker
from relaxeq.curvature.precision import wide
from relaxeq.sites import Site

Bases = tuple[Tensor, Tensor]
CHUNK = 1 << 24
"""Entries of per-datum gradients held at once."""


def corrected(
    net: nn.Module, loader: Iterable[Batch], settings: Pass
) -> tuple[dict[str, CorrectedBlock], Totals]:
    """Eigenvalue-corrected KFAC (George et al. 2018): two passes, the second for the corrections.

    values[b, u, v] = Σ_n Σ_k (g_uᵀ Σ_s g a_vᵀ)², per-datum gradients in the eigenbases of A and G.
    """
    plain, first = kronecker(net, loader, settings)
    bases = {name: block.corrected.bases for name, block in plain.items()}
    squares, totals = _squares(net, read_again(loader, first.count), settings, bases)
    return {n: CorrectedBlock(s.site, bases[n], s.values) for n, s in squares.items()}, totals


def diagonal(
    net: nn.Module, loader: Iterable[Batch], settings: Pass
) -> tuple[dict[str, DiagonalBlock], Totals]:
    """The exact diagonal of the Gauss–Newton matrix (with all columns of Λ½)."""
    squares, totals = _squares(net, loader, settings, {})
    return {name: DiagonalBlock(s.site, s.values) for name, s in squares.items()}, totals


def _squares(
    net: nn.Module, loader: Iterable[Batch], settings: Pass, bases: Mapping[str, Bases]
) -> "tuple[dict[str, _Squares], Totals]":
    def make(name: str, site: Site, parameter: Tensor) -> _Squares:
        rotation = bases.get(name)
        sums = wide(parameter).new_zeros(site.shape)
        turned = None if rotation is None else tuple(q.to(sums) for q in rotation)
        return _Squares(site, turned, sums)  # type: ignore[arg-type]

    squares, totals = collect(net, loader, settings, make)
    for name, found in squares.items():
        check_finite(name, found.values)
    return squares, totals


@final
@dataclass
class _Squares(Collector):
    """Σ_n (Q_Gᵀ M_n Q_A)², M_n the per-datum gradient (out, in) of each block."""

    site: Site
    bases: Bases | None
    values: Tensor
    inputs: list[Tensor] = field(default_factory=list)

    def add_inputs(self, calls: list[Tensor]) -> None:
        expanded = [self.site.inputs.expand(x) for x in calls]
        self.inputs = [a if self.bases is None else _turn(a, self.bases[0]) for a in expanded]

    def add_gradients(self, calls: list[Tensor]) -> None:
        expanded = [self.site.outputs.expand(g) for g in calls]
        turned = [g if self.bases is None else _turn(g, self.bases[1]) for g in expanded]
        if len(turned) == 1 and turned[0].shape[2] == 1:  # one position: squares factor
            g, a = turned[0][:, :, 0].square(), self.inputs[0][:, :, 0].square()
            self.values += torch.einsum("nbo,nbi->boi", g, a)
            return
        rows = max(1, CHUNK // self.values.numel())
        for start in range(0, len(turned[0]), rows):
            part = slice(start, start + rows)
            gradient = sum(g[part].mT @ a[part] for g, a in zip(turned, self.inputs, strict=True))
            assert isinstance(gradient, Tensor)
            self.values += gradient.square().sum(0)


def _turn(expanded: Tensor, basis: Tensor) -> Tensor:
    return torch.einsum("nbsi,biv->nbsv", expanded, basis)
