"""Kronecker blocks: factors of a parameter's curvature, and what the evidence asks of them."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from relaxeq.errors import NumericsError, SpecError
from relaxeq.shapes import Gram, InputGram, Matrix, OutputGram, Vector
from relaxeq.sites import Site


@final
@dataclass(frozen=True, eq=False)
class KroneckerBlock:
    """H ≈ ⊕_b A_b ⊗ G_b · scale for one parameter: A_b = Σ a aᵀ, G_b = Σ g Λ gᵀ, scale = 1/(N S).

    Sums over the whole training set, in nats: H is the Gauss–Newton matrix of −log p(D|θ), not
    averaged (§5, App. C).
    """

    site: Site
    inputs: InputGram
    outputs: OutputGram
    scale: float

    @property
    def size(self) -> int:
        """P, the number of parameters."""
        blocks, out, in_ = self.site.shape
        return blocks * out * in_

    def dense(self) -> Matrix:
        """The (P, P) matrix, rows and columns in the order of parameter.flatten()."""
        blocks, out, in_ = self.site.shape
        whole = self.inputs.new_zeros(blocks, out, in_, blocks, out, in_)
        for b in range(blocks):
            product = torch.einsum("oq,ip->oiqp", self.outputs[b], self.inputs[b])
            whole[b, :, :, b, :, :] = product * self.scale
        order = self.site.flat_from_blocks(
            torch.arange(self.size, device=self.inputs.device).view(self.site.shape)
        )
        return whole.view(self.size, self.size)[order][:, order]

    @cached_property
    def factor_eigenvalues(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues of A (block, in) and G (block, out) in float64, clamped at 0."""
        return _spectrum(self.inputs), _spectrum(self.outputs)

    def eigenvalues(self) -> Vector:
        """All P eigenvalues of the block in float64, in no promised order."""
        of_a, of_g = self.factor_eigenvalues
        return (of_g[:, :, None] * of_a[:, None, :]).flatten() * self.scale

    def logdet(self, delta: float) -> Tensor:
        """log det(H + δ I) in nats, δ > 0 a prior precision."""
        if not delta > 0:
            raise SpecError(f"delta={delta} of logdet must be positive: it is a prior precision.")
        return (self.eigenvalues() + delta).log().sum()

    def trace(self) -> Tensor:
        of_a, of_g = self.factor_eigenvalues
        return (of_a.sum(1) * of_g.sum(1)).sum() * self.scale


def _spectrum(gram: Gram) -> Tensor:
    """Eigenvalues in float64: single precision loses the small ones, and fails on zero factors."""
    if not torch.isfinite(gram).all():
        raise NumericsError("a curvature factor is not finite: training has diverged before it.")
    return torch.linalg.eigvalsh(gram.double()).clamp_min(0.0)
