"""Kronecker factors of sites in the place of laplace-torch's `Kron`, which knows no blocks."""

from collections.abc import Sequence
from typing import Any, final

import torch
from laplace.utils.matrix import Kron, KronDecomposed
from torch import Tensor

from relaxeq.curvature import CorrectedBlock, KroneckerBlock
from relaxeq.errors import SpecError
from relaxeq.sites import Site


@final
class SiteKron(Kron):  # type: ignore[misc]
    """KFAC of every parameter: ⊕_b A_b ⊗ G_b / rows, rows = N S.

    `kfacs` holds [A (block, in, in), G (block, out, out), rows] per site. Sums add each of them, so
    that a sum over batches is KFAC of all data; an empty list is zero.
    """

    def __init__(self, sites: Sequence[Site], kfacs: list[list[Tensor]]) -> None:
        super().__init__(kfacs)
        self.sites = tuple(sites)

    @staticmethod
    def of_blocks(blocks: Sequence[Any]) -> "SiteKron":
        """From the blocks of `relaxeq.kfac`."""
        kfacs = [[b.inputs, b.outputs, b.inputs.new_tensor(1 / b.scale)] for b in blocks]
        return SiteKron([block.site for block in blocks], kfacs)

    def blocks(self) -> list[KroneckerBlock]:
        """As blocks of `relaxeq.kfac`."""
        found = zip(self.sites, self.kfacs, strict=True)
        return [KroneckerBlock(s, a, g, float(1 / rows)) for s, (a, g, rows) in found]

    def __add__(self, other: Kron) -> "SiteKron":
        if not isinstance(other, SiteKron):
            return self._plus_nothing(other)
        if not (self.kfacs and other.kfacs):
            return self if self.kfacs else other
        pairs = zip(self.kfacs, other.kfacs, strict=True)
        sums = [[x + y for x, y in zip(mine, its, strict=True)] for mine, its in pairs]
        return SiteKron(self.sites, sums)

    # laplace-torch starts its sum from zero factors of its own shapes, on the left.
    __radd__ = __add__

    def _plus_nothing(self, other: Kron) -> "SiteKron":
        if any(bool(factor.any()) for factors in other.kfacs for factor in factors):
            raise SpecError("factors of another backend cannot be added: fit again with SiteGGN.")
        return self

    def __mul__(self, scalar: int | float | Tensor) -> "SiteKron":
        return SiteKron(self.sites, [[a, g * scalar, rows] for a, g, rows in self.kfacs])

    __rmul__ = __mul__

    def decompose(self, damping: bool = False) -> "SiteKronDecomposed":
        """Eigenvectors and eigenvalues, in float64."""
        if damping:
            raise SpecError("damping=True changes the evidence: leave it out with SiteGGN.")
        return SiteKronDecomposed([block.corrected for block in self.blocks()])

    def bmm(self, W: Tensor, exponent: int | float = 1) -> Tensor:  # noqa: N803
        found: Tensor = self.decompose().bmm(W, exponent)
        return found

    def logdet(self) -> Tensor:
        return self.decompose().logdet()

    def diag(self) -> Tensor:
        return self.decompose().diag()

    def to_matrix(self) -> Tensor:
        matrix: Tensor = torch.block_diag(*(block.dense() for block in self.blocks()))
        return matrix


@final
class SiteKronDecomposed(KronDecomposed):  # type: ignore[misc]
    """H + δ with one δ, or one per parameter: `deltas` are prior precisions."""

    def __init__(self, blocks: Sequence[CorrectedBlock], deltas: Tensor | None = None) -> None:
        self.blocks = tuple(blocks)
        self.deltas = self.blocks[0].values.new_zeros(len(blocks)) if deltas is None else deltas
        self.damping = False

    def __len__(self) -> int:
        return len(self.blocks)

    def __add__(self, deltas: Tensor) -> "SiteKronDecomposed":
        self._check_deltas(deltas)
        return SiteKronDecomposed(self.blocks, self.deltas + deltas)

    def __mul__(self, scalar: int | float | Tensor) -> "SiteKronDecomposed":
        scaled = [CorrectedBlock(b.site, b.bases, b.values * scalar) for b in self.blocks]
        return SiteKronDecomposed(scaled, self.deltas)

    __radd__ = __add__
    __rmul__ = __mul__

    def logdet(self) -> Tensor:
        return torch.stack([values.log().sum() for values in self._shifted()]).sum()

    def _bmm(self, W: Tensor, exponent: int | float = -1) -> Tensor:  # noqa: N803
        """(H + δ)^exponent W for W (batch, out, P)."""
        sizes = [block.size for block in self.blocks]
        parts = zip(self.blocks, self._shifted(), W.flatten(0, 1).split(sizes, 1), strict=True)
        return torch.cat([_powered(*part, exponent) for part in parts], 1).view_as(W)

    def diag(self, exponent: int | float = 1) -> Tensor:
        found = []
        for block, values in zip(self.blocks, self._shifted(), strict=True):
            a, g = (basis.square() for basis in block.bases)
            entries = torch.einsum("bou,buv,biv->boi", g, values**exponent, a)
            found.append(block.site.flat_from_blocks(entries))
        return torch.cat(found)

    def to_matrix(self, exponent: int | float = 1) -> Tensor:
        pairs = zip(self.blocks, self._shifted(), strict=True)
        dense = [CorrectedBlock(b.site, b.bases, v**exponent).dense() for b, v in pairs]
        matrix: Tensor = torch.block_diag(*dense)
        return matrix

    def _shifted(self) -> list[Tensor]:
        """λ + δ of every parameter, (block, out, in)."""
        return [block.values + delta for block, delta in zip(self.blocks, self.deltas, strict=True)]


def _powered(
    block: CorrectedBlock, values: Tensor, vectors: Tensor, exponent: int | float
) -> Tensor:
    """Q values^exponent Qᵀ v for vectors v (m, P) in the parameter's order."""
    shape = block.site.shape
    order = block.site.flat_from_blocks(torch.arange(block.size).view(shape)).to(vectors.device)
    a, g = (basis.to(vectors) for basis in block.bases)
    stored = vectors[:, order.argsort()].unflatten(1, shape)
    turned = torch.einsum("bou,mboi,biv->mbuv", g, stored, a)
    scaled = turned * (values**exponent).to(vectors)
    return torch.einsum("bou,mbuv,biv->mboi", g, scaled, a).flatten(1)[:, order]
