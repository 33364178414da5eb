"""NS-CONV: a convolution whose filter depends on the position, in a sparse basis (§3.2)."""

import math
from collections.abc import Mapping
from typing import final

import torch
from einops import rearrange
from torch import Tensor

from relaxeq.fields import Field
from relaxeq.paths.exact import Exact
from relaxeq.paths.sparse.anchors import filter_places, half, torus_places
from relaxeq.paths.sparse.basis import ExponentialBasis, White, gain_of, sparse_basis, whitened
from relaxeq.paths.sparse.layouts import BasisPatches, Part
from relaxeq.paths.sparse.options import Sparse
from relaxeq.paths.sparse.path import Functions, Show, SparsePath
from relaxeq.paths.stages.torus import torus_conv
from relaxeq.sites import Rearranged, Site

POSITIONS = 4
"""Anchors over positions, unless given."""


@final
class PositionConv(SparsePath):
    """y(c',q) = Σ_l ψ_l(q; ω) Σ_{c,δ} s_l(c',c,δ) x(c, q+δ),   s_l = Σ_j u(c',l,c,j) φ_j(δ).

    An S-CONV whose filter moves, with the position q, between those of L anchors on the torus
    (after van der Ouderaa et al. 2022): non-stationary for ω > 0, and the plain S-CONV with the
    filter Σ_l s_l at ω = 0. ω acts on positions alone; the φ_j, half as many as taps, have the
    lengthscale 1 of a pixel. u is (C'·L, C·M), channels count orientations, L = `anchors` or 4.
    Costs L convolutions. It ends on the source's grid, as convolutions do.
    """

    def __init__(
        self,
        source: Field,
        target: Field,
        kernel_size: int,
        label: str = "NS-CONV",
        options: Sparse = Sparse(),  # noqa: B008  (a frozen value)
    ) -> None:
        options.refuse_pairs(label)
        where = torus_places(target.size)
        basis = sparse_basis(where, options, options.anchors or POSITIONS)
        taps = _filter_functions(kernel_size)
        shape = (target.depth * basis.shape[0], source.depth * len(taps))
        place = (source.shape, target.shape), (target.depth, source.depth)
        super().__init__(label, *place, {"u": (basis, shape)}, options)
        self.kernel_size = kernel_size
        self.taps = Exact(taps.numpy())
        self.reset_parameters()

    def respond(self, x: Tensor, functions: Functions, show: Show) -> Tensor:
        split = self.anchors("u").unflatten(1, (self.pairs[1], -1)) @ self.taps.tensor
        filters: Tensor = split.unflatten(2, (self.kernel_size, self.kernel_size))
        found = show("u", x, torus_conv(x, filters)).unflatten(1, (self.pairs[0], -1))
        psi = functions["u"].unflatten(1, x.shape[2:])
        return torch.einsum("nolyx,lyx->noyx", found, psi)

    def pair_slopes(self, x: Tensor, functions: Functions, slopes: Functions) -> Tensor:
        raise AssertionError("one ω only")

    def anchor_sites(self) -> dict[str, Site]:
        index = torch.arange(self.pairs[1], device=self.taps.tensor.device)
        taps = rearrange(self.taps.tensor, "m (y x) -> 1 m 1 y x", y=self.kernel_size)
        outputs = Rearranged("n o h w -> n 1 (h w) o")
        rows, columns = self.anchors("u").shape
        return {"u": Site(BasisPatches((Part(index, taps),)), outputs, (1, rows, columns))}

    def reset_anchors(
        self, start: Mapping[str, White], gain: float, generator: torch.Generator | None
    ) -> None:
        psi, taps = self.functions()["u"], whitened(self.taps.tensor)
        over_positions = float(psi.square().sum(0).mean())
        fan_in = self.pairs[1] * over_positions * gain_of(taps.functions)
        self.draw("u", taps, gain / math.sqrt(fan_in), generator)

    @property
    def symmetry(self) -> str:
        return "Z2" if self.stationary else "none"


def _filter_functions(kernel: int) -> Tensor:
    """Φ (M, k²) of S-CONV at ω = 1, in float64."""
    places = filter_places(kernel)
    with torch.device("cpu"):
        basis = sparse_basis(places, Sparse(anchors=half(len(places)))).double()
        assert isinstance(basis, ExponentialBasis)
        found: Tensor = basis(torch.ones((), dtype=torch.float64))
    return found
