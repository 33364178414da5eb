"""Updates of prior precisions by the gradient of the evidence, eigenvalues held fixed."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from relaxeq.arguments import is_count
from relaxeq.errors import SpecError
from relaxeq.evidence.terms import Term, check_precisions

Precisions = dict[str, float]
Moments = dict[str, tuple[float, float, int]]

LOWEST, HIGHEST = 1e-8, 1e16
"""Bounds of a precision: beyond them α‖θ‖² and λ/α leave double precision, and nothing changes."""
WIDTH = math.log(HIGHEST / LOWEST)


def bounded(precision: float) -> float:
    """The precision inside [LOWEST, HIGHEST]; ∞ (a path that is off) stays."""
    return precision if math.isinf(precision) else min(max(precision, LOWEST), HIGHEST)


class Update(ABC):
    """One way to move precisions uphill in the evidence. Stateless: moments travel beside."""

    @abstractmethod
    def step(
        self,
        terms: Mapping[str, Term],
        precisions: Mapping[str, float],
        moments: Moments,
        rate: float = 1.0,
    ) -> tuple[Precisions, Moments]:
        """New precisions and moments; `rate` in [0, 1] scales a learning rate, if there is one."""


@final
@dataclass(frozen=True)
class MacKay(Update):
    """MacKay's fixed point α ← γ/‖θ‖²: log α moves `damping` of the way, `steps` times.

    γ depends on α, so a few steps per curvature come near the fixed point of this curvature. A path
    whose γ vanishes faster than ‖θ‖² has α → ∞ (MacKay 1992): it is held at the upper bound.
    """

    damping: float = 0.5
    steps: int = 3

    def __post_init__(self) -> None:
        if not (0 < self.damping <= 1 and is_count(self.steps)):
            raise SpecError(
                f"MacKay(damping={self.damping}, steps={self.steps}): damping must be in (0, 1] "
                "and steps a whole number, at least 1."
            )

    def step(
        self,
        terms: Mapping[str, Term],
        precisions: Mapping[str, float],
        moments: Moments,
        rate: float = 1.0,
    ) -> tuple[Precisions, Moments]:
        check_precisions(terms, precisions)
        found = dict(precisions)
        for name, term in terms.items():
            for _ in range(self.steps):
                found[name] = self._one(term, found[name])
        return found, moments

    def _one(self, term: Term, precision: float) -> float:
        if math.isinf(precision):
            return precision
        gamma = term.effective_parameters(precision)
        if gamma <= 0 or term.squared_norm <= 0:
            target = HIGHEST
        else:
            target = bounded(gamma / term.squared_norm)
        return bounded(precision ** (1 - self.damping) * target**self.damping)


@final
@dataclass(frozen=True)
class Adam(Update):
    """Adam on log α (App. F.6: lr 0.1), uphill in the evidence, `steps` per curvature."""

    lr: float = 0.1
    steps: int = 1
    betas: tuple[float, float] = (0.9, 0.999)

    def __post_init__(self) -> None:
        decays = all(0 <= beta < 1 for beta in self.betas)
        if not (0 < self.lr < math.inf and decays and is_count(self.steps)):
            raise SpecError(
                f"Adam(lr={self.lr}, steps={self.steps}, betas={self.betas}): lr must be positive "
                "and finite, steps a whole number, at least 1, and betas in [0, 1)."
            )

    def step(
        self,
        terms: Mapping[str, Term],
        precisions: Mapping[str, float],
        moments: Moments,
        rate: float = 1.0,
    ) -> tuple[Precisions, Moments]:
        check_precisions(terms, precisions)
        found, kept = dict(precisions), dict(moments)
        for name, term in terms.items():
            for _ in range(self.steps):
                gradient = term.gradient(found[name])
                kept[name], move = self._move(kept.get(name, (0.0, 0.0, 0)), gradient)
                step = min(rate * self.lr * move, WIDTH)
                found[name] = bounded(found[name] * math.exp(step))
        return found, kept

    def _move(
        self, moment: tuple[float, float, int], gradient: float
    ) -> tuple[tuple[float, float, int], float]:
        first, second, count = moment
        b1, b2 = self.betas
        first, second, count = (
            b1 * first + (1 - b1) * gradient,
            b2 * second + (1 - b2) * gradient**2,
            count + 1,
        )
        mean, scale = first / (1 - b1**count), second / (1 - b2**count)
        return (first, second, count), mean / (math.sqrt(scale) + 1e-8)
