"""Observation noise: the evidence of Gaussian targets as a function of σ, weights held fixed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import final

from scipy.optimize import brentq

from relaxeq.errors import SpecError
from relaxeq.evidence.terms import Term, check_precisions
from relaxeq.evidence.updates import HIGHEST, LOWEST


@final
@dataclass(frozen=True)
class Noise:
    """What the evidence knows of targets y = f + ε, ε ~ N(0, I/β), in all entries of all data.

    `squares` is R = Σ ‖y_n − f_n‖², `entries` the number M of target entries, `precision` the β =
    1/σ² under which curvature was taken. H is proportional to β, so its eigenvalues at another β'
    are λ β'/β.
    """

    squares: float
    entries: int
    precision: float

    def __post_init__(self) -> None:
        if not (self.squares >= 0 and self.entries > 0 and 0 < self.precision < math.inf):
            raise SpecError(
                f"Noise(squares={self.squares}, entries={self.entries}, precision="
                f"{self.precision}): squares must not be negative, entries and precision positive."
            )

    def gradient(
        self, terms: Mapping[str, Term], precisions: Mapping[str, float], beta: float
    ) -> float:
        """∂ log evidence / ∂ log β = ½(M − β R − γ(β)), which falls in β: one maximum."""
        found = rescaled(terms, beta / self.precision)
        gamma = sum(term.effective_parameters(precisions[name]) for name, term in found.items())
        return 0.5 * (self.entries - beta * self.squares - gamma)

    def best(self, terms: Mapping[str, Term], precisions: Mapping[str, float]) -> float:
        """The β of largest evidence, σ² = R/(M − γ), inside the bounds of a precision."""
        check_precisions(terms, precisions)

        def slope(log_beta: float) -> float:
            return self.gradient(terms, precisions, math.exp(log_beta))

        low, high = math.log(LOWEST), math.log(HIGHEST)
        if slope(low) <= 0:
            return LOWEST
        if slope(high) >= 0:
            return HIGHEST
        return math.exp(brentq(slope, low, high, xtol=1e-10))


def rescaled(terms: Mapping[str, Term], factor: float) -> dict[str, Term]:
    """The terms with all eigenvalues multiplied: curvature under another noise."""
    return {
        name: replace(term, eigenvalues=term.eigenvalues * factor) for name, term in terms.items()
    }
