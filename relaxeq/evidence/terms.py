"""The Laplace evidence as a function of prior precisions: a closed form in the eigenvalues."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch

from relaxeq.arguments import check_precision
from relaxeq.errors import NumericsError, SpecError
from relaxeq.shapes import Vector


@final
@dataclass(frozen=True, eq=False)
class Term:
    """What the evidence knows of one prior N(θ | 0, α⁻¹ I): curvature eigenvalues and ‖θ‖².

    `eigenvalues` are those of H = −∂² log p(D|θ) (Gauss–Newton, summed over the data, nats), one
    per parameter, none negative. Where they are those of a part of the data, each counts `weight`
    times, and `parameters` says how many parameters there are.
    """

    eigenvalues: Vector
    squared_norm: float
    weight: float = 1.0
    parameters: int | None = None

    def __post_init__(self) -> None:
        below = int((self.eigenvalues < 0).sum())
        if below or self.squared_norm < 0:
            raise SpecError(
                f"Term(eigenvalues, squared_norm={self.squared_norm}) has {below} eigenvalues "
                "below 0: neither may be negative; write eigenvalues.clamp_min(0) where they are "
                "rounding of 0."
            )

    @property
    def size(self) -> int:
        """P, the number of parameters under this prior."""
        return self.eigenvalues.numel() if self.parameters is None else self.parameters

    def effective_parameters(self, precision: float) -> float:
        """γ = Σ λ/(λ+α), between 0 and P (App. D.2); that of a bound may be larger."""
        check_precision("precision", precision)
        if math.isinf(precision):
            return 0.0
        return self.weight * float((self.eigenvalues / (self.eigenvalues + precision)).sum())

    def log_evidence(self, precision: float) -> float:
        """½[P log α − α‖θ‖² − Σ log(λ+α)] in nats: log prior minus half the log-determinant.

        At α = ∞ (σ = 0) the parameters are 0 and the term is its limit, 0.
        """
        check_precision("precision", precision)
        if math.isinf(precision):
            return 0.0 if self.squared_norm == 0 else -math.inf
        occam = self.weight * float((self.eigenvalues / precision).log1p().sum())
        return -0.5 * (precision * self.squared_norm + occam)

    def gradient(self, precision: float) -> float:
        """∂ log evidence / ∂ log α = ½(γ − α‖θ‖²), with curvature and weights held fixed."""
        gamma = self.effective_parameters(precision)
        if math.isinf(precision):
            return 0.0
        return 0.5 * (gamma - precision * self.squared_norm)


def log_marginal_likelihood(
    log_likelihood: float, terms: Mapping[str, Term], precisions: Mapping[str, float]
) -> float:
    """log p(D|η) ≈ log p(D|θ) + Σ ½[P log α − α‖θ‖² − Σ log(λ+α)] (Eq. 9), in nats, summed.

    `log_likelihood` is Σ_n log p(y_n|x_n, θ); the terms ½P log 2π of prior and posterior cancel.
    """
    check_precisions(terms, precisions)
    return log_likelihood + sum(term.log_evidence(precisions[name]) for name, term in terms.items())


def check_precisions(terms: Mapping[str, Term], precisions: Mapping[str, float]) -> None:
    """Every term must be finite and have a positive precision (∞ for a path that is off)."""
    for name, term in terms.items():
        if not (torch.isfinite(term.eigenvalues).all() and math.isfinite(term.squared_norm)):
            raise NumericsError(
                f"terms[{name!r}] has eigenvalues or a squared norm that are not finite: training "
                "has diverged; lower the learning rate or check the data."
            )
        if name not in precisions:
            raise SpecError(f"precisions lacks {name!r}: give one prior precision per term.")
        check_precision(f"precisions[{name!r}]", precisions[name])
