"""The maximum of the evidence under frozen eigenvalues, by L-BFGS."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from relaxeq.arguments import is_count
from relaxeq.errors import SpecError
from relaxeq.evidence.terms import Term, check_precisions
from relaxeq.evidence.updates import HIGHEST, LOWEST, Moments, Precisions, Update, bounded


@final
@dataclass(frozen=True)
class LBFGS(Update):
    """All log α by L-BFGS-B on the closed-form evidence, then `damping` of the way towards them.

    With damping 1 it goes as far as these eigenvalues say, which are those of the old weights: a
    path that is behind is then switched off at the first update. A cold start needs damping.
    """

    damping: float = 0.5
    iterations: int = 50

    def __post_init__(self) -> None:
        if not (0 < self.damping <= 1 and is_count(self.iterations)):
            raise SpecError(
                f"LBFGS(damping={self.damping}, iterations={self.iterations}): damping must be in "
                "(0, 1] and iterations a whole number, at least 1."
            )

    def step(
        self,
        terms: Mapping[str, Term],
        precisions: Mapping[str, float],
        moments: Moments,
        rate: float = 1.0,
    ) -> tuple[Precisions, Moments]:
        check_precisions(terms, precisions)
        names = [name for name in terms if not math.isinf(precisions[name])]
        found = dict(precisions)
        if names:
            start = np.log([bounded(precisions[name]) for name in names])
            best = self._maximum([terms[name] for name in names], start)
            moved = start + self.damping * (best - start)
            found |= {name: bounded(math.exp(x)) for name, x in zip(names, moved, strict=True)}
        return found, moments

    def _maximum(self, terms: list[Term], start: NDArray[np.float64]) -> NDArray[np.float64]:
        def descent(logs: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            pairs = [(term, math.exp(x)) for term, x in zip(terms, logs, strict=True)]
            value = -sum(term.log_evidence(alpha) for term, alpha in pairs)
            return value, -np.array([term.gradient(alpha) for term, alpha in pairs])

        box = [(math.log(LOWEST), math.log(HIGHEST))] * len(terms)
        options = {"maxiter": self.iterations}
        found = minimize(descent, start, jac=True, method="L-BFGS-B", bounds=box, options=options)
        best: NDArray[np.float64] = found.x
        return best
