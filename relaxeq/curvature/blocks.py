"""Blocks: the curvature of one parameter, and what the evidence asks of it."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar, final

import torch
from torch import Tensor

from relaxeq.arguments import check_precision
from relaxeq.curvature.spectra import Spectra, checked
from relaxeq.errors import SpecError
from relaxeq.shapes import InputGram, Matrix, OutputGram, Vector, Weight
from relaxeq.sites import Site

B = TypeVar("B", bound="Block")


class Spectrum(ABC):
    """What the evidence asks of the curvature of one parameter: eigenvalues λ and a weight w.

    log det(H + δ) ≈ P log δ + w Σ log(1 + λ/δ).
    """

    site: Site

    @abstractmethod
    def eigenvalues(self) -> Vector:
        """Eigenvalues in float64, none negative, in no promised order."""

    @property
    @abstractmethod
    def weight(self) -> float:
        """How often each eigenvalue counts: 1, unless they are those of a part of the data."""

    @property
    def size(self) -> int:
        """P, the number of parameters."""
        blocks, out, in_ = self.site.shape
        return blocks * out * in_

    def logdet(self, delta: float) -> Tensor:
        """Log det(H + δ I) in nats, δ > 0 a prior precision."""
        check_precision("delta", delta)
        occam = self.weight * (self.eigenvalues() / delta).log1p().sum()
        return self.size * math.log(delta) + occam

    def trace(self) -> Tensor:
        """w Σ λ."""
        return self.weight * self.eigenvalues().sum()


@final
@dataclass(frozen=True, eq=False)
class KernelSpectrum(Spectrum):
    """Eigenvalues of kernels J_B J_Bᵀ of batches B, each counted `weight` times: no matrix."""

    site: Site
    values: Vector = field(repr=False)
    weight: float = 1.0

    def eigenvalues(self) -> Vector:
        return self.values


class Block(Spectrum):
    """A positive semi-definite approximation of H = Σ_n J_nᵀ Λ_n J_n for one parameter.

    Summed over the data set, in nats, not averaged (§5, App. C). All P eigenvalues, each once.
    """

    @property
    @final
    def weight(self) -> float:
        return 1.0

    @abstractmethod
    def dense(self) -> Matrix:
        """The (P, P) matrix, rows and columns in the order of parameter.flatten()."""

    @final
    def inverse_root(self, vectors: Tensor, delta: float) -> Tensor:
        """(H + δ I)^(−1/2) v for vectors v (m, block, out, in): whitens gradients, shapes noise."""
        check_precision("delta", delta)
        return self._whitened(vectors, delta)

    @final
    def scaled(self: B, factor: float) -> B:
        """The block with all sums over the data multiplied by a positive factor."""
        if not 0 < factor < math.inf:
            raise SpecError(f"factor={factor} of a block must be positive and finite.")
        return self._times(factor)

    @abstractmethod
    def _whitened(self, vectors: Tensor, delta: float) -> Tensor:
        """`inverse_root` of a positive δ."""

    @abstractmethod
    def _times(self: B, factor: float) -> B:
        """`scaled` by a positive factor."""


@final
@dataclass(frozen=True, eq=False)
class KroneckerBlock(Block):
    """H ≈ ⊕_b A_b ⊗ G_b · scale: A_b = Σ a aᵀ, G_b = Σ g Λ gᵀ, scale = 1/(N S)."""

    site: Site
    inputs: InputGram = field(repr=False)
    outputs: OutputGram = field(repr=False)
    scale: float
    spectra: Spectra = field(default_factory=Spectra, repr=False)

    def dense(self) -> Matrix:
        products = torch.einsum("boq,bip->boiqp", self.outputs, self.inputs) * self.scale
        return block_diagonal(self.site, products.flatten(3).flatten(1, 2))

    @property
    def factor_eigenvalues(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues of A (block, in) and G (block, out) in float64, clamped at 0."""
        return self.spectra.of(self.inputs), self.spectra.of(self.outputs)

    @cached_property
    def corrected(self) -> "CorrectedBlock":
        """The same matrix, decomposed: eigenvectors of A and G in float64, and all eigenvalues."""
        (of_a, a), (of_g, g) = (torch.linalg.eigh(checked(factor)) for factor in self.factors)
        values = of_g.clamp_min(0.0)[:, :, None] * of_a.clamp_min(0.0)[:, None, :] * self.scale
        return CorrectedBlock(self.site, (a, g), values)

    @property
    def factors(self) -> tuple[InputGram, OutputGram]:
        """(A, G)."""
        return self.inputs, self.outputs

    def eigenvalues(self) -> Vector:
        of_a, of_g = self.factor_eigenvalues
        return (of_g[:, :, None] * of_a[:, None, :]).flatten() * self.scale

    def _whitened(self, vectors: Tensor, delta: float) -> Tensor:
        return self.corrected._whitened(vectors, delta)

    def _times(self, factor: float) -> "KroneckerBlock":
        grams = self.inputs * factor, self.outputs * factor
        return KroneckerBlock(self.site, *grams, self.scale / factor)

    def averaged(self) -> "KroneckerBlock":
        """G averaged over blocks, as App. C.1 writes it for factored layers."""
        mean = self.outputs.mean(0, keepdim=True).expand_as(self.outputs)
        return KroneckerBlock(self.site, self.inputs, mean, self.scale)


@final
@dataclass(frozen=True, eq=False)
class CorrectedBlock(Block):
    """H ≈ ⊕_b (Q_A ⊗ Q_G) diag(values_b) (Q_A ⊗ Q_G)ᵀ: H's diagonal in the factors' eigenbasis.

    George et al. (2018). With exact values (all columns of Λ½) its trace is that of the exact GGN
    and log det(· + δ) ≥ log det(H + δ) by Hadamard and Fischer: a lower bound on the evidence.
    """

    site: Site
    bases: tuple[Tensor, Tensor] = field(repr=False)
    values: Weight = field(repr=False)

    def eigenvalues(self) -> Vector:
        return self.values.double().flatten()

    def dense(self) -> Matrix:
        of_a, of_g = self.bases
        vectors = torch.einsum("bou,biv->boiuv", of_g, of_a).flatten(3).flatten(1, 2)
        scaled = vectors * self.values.double().flatten(1)[:, None, :]
        return block_diagonal(self.site, scaled @ vectors.mT)

    def _times(self, factor: float) -> "CorrectedBlock":
        return CorrectedBlock(self.site, self.bases, self.values * factor)

    def _whitened(self, vectors: Tensor, delta: float) -> Tensor:
        a, g = (basis.to(vectors) for basis in self.bases)
        turned = torch.einsum("bou,nboi,biv->nbuv", g, vectors, a)
        scaled = turned * (self.values.double() + delta).rsqrt().to(vectors)
        return torch.einsum("bou,nbuv,biv->nboi", g, scaled, a)


@final
@dataclass(frozen=True, eq=False)
class DiagonalBlock(Block):
    """H ≈ its own diagonal."""

    site: Site
    values: Weight = field(repr=False)

    def eigenvalues(self) -> Vector:
        return self.values.double().flatten()

    def dense(self) -> Matrix:
        matrix: Tensor = torch.diag(self.site.flat_from_blocks(self.values))
        return matrix

    def _times(self, factor: float) -> "DiagonalBlock":
        return DiagonalBlock(self.site, self.values * factor)

    def _whitened(self, vectors: Tensor, delta: float) -> Tensor:
        return vectors * (self.values.double() + delta).rsqrt().to(vectors)


@final
@dataclass(frozen=True, eq=False)
class DenseBlock(Block):
    """H itself, (P, P) in the order of parameter.flatten()."""

    site: Site
    matrix: Matrix = field(repr=False)

    def eigenvalues(self) -> Vector:
        return self._values

    @cached_property
    def _values(self) -> Vector:
        values: Tensor = torch.linalg.eigvalsh(checked(self.matrix))
        return values.clamp_min(0.0)

    @cached_property
    def _decomposed(self) -> tuple[Vector, Matrix]:
        values, basis = torch.linalg.eigh(checked(self.matrix))
        return values.clamp_min(0.0), basis

    def dense(self) -> Matrix:
        return self.matrix

    def _times(self, factor: float) -> "DenseBlock":
        return DenseBlock(self.site, self.matrix * factor)

    def _whitened(self, vectors: Tensor, delta: float) -> Tensor:
        values, basis = self._decomposed
        scale = (values + delta).rsqrt()
        root = ((basis * scale) @ basis.mT).to(vectors)
        flat = torch.stack([self.site.flat_from_blocks(v) for v in vectors])
        return torch.stack([self.site.to_blocks(v) for v in flat @ root])


def block_diagonal(site: Site, blocks: Tensor) -> Matrix:
    """The (P, P) matrix of per-block matrices (block, out·in, out·in), in the parameter's order."""
    whole = torch.block_diag(*blocks)
    order = site.flat_from_blocks(torch.arange(len(whole), device=blocks.device).view(site.shape))
    ordered: Tensor = whole[order][:, order]
    return ordered
