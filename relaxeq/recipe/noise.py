"""Noise that is learned: σ moves to its best value before the precisions move."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

from relaxeq.curvature import Estimate, Spectrum
from relaxeq.errors import EvidenceWarning
from relaxeq.evidence import Noise, Term, rescaled
from relaxeq.likelihoods import LearnedGaussian, Likelihood

ROUNDING = 1e-15
"""Of log p, relative: a sum in float64."""


def relearned(
    likelihood: Likelihood,
    found: Estimate[Spectrum],
    terms: dict[str, Term],
    precisions: Mapping[str, float],
) -> tuple[Likelihood, dict[str, Term]]:
    """The likelihood with its best noise, and the terms under it; others stay as they are."""
    if not isinstance(likelihood, LearnedGaussian):
        return likelihood, terms
    noise = _noise(likelihood.noise, found)
    beta = noise.best(terms, precisions)
    return LearnedGaussian(beta**-0.5), rescaled(terms, beta / noise.precision)


def _noise(sigma: float, found: Estimate[Spectrum]) -> Noise:
    """R from log p(y|f) = −½ [R/σ² + M log 2πσ²]."""
    constant = found.entries * math.log(2 * math.pi * sigma**2)
    ratio = -2 * found.log_likelihood - constant
    if ratio <= (least := ROUNDING * (abs(ratio + constant) + abs(constant))):
        ratio = least  # all that is known of R: an R of 0 would end at the least noise there is
        warnings.warn(
            f"targets are fitted so closely that at noise={sigma:g} rounding hides what is left of "
            "LearnedGaussian's noise: start it nearer to the noise that you expect. Weights that "
            "fit every target exactly say nothing of it: write Gaussian(noise).",
            EvidenceWarning,
            stacklevel=7,
        )
    return Noise(sigma**2 * ratio, found.entries, sigma**-2)


def learned_noise(likelihood: Likelihood) -> dict[str, float]:
    """What rows and checkpoints keep of a noise that is learned."""
    return {"noise": likelihood.noise} if isinstance(likelihood, LearnedGaussian) else {}


def with_noise(likelihood: Likelihood, state: Mapping[str, Any]) -> Likelihood:
    """The likelihood with the noise of a checkpoint."""
    learned = isinstance(likelihood, LearnedGaussian)
    return LearnedGaussian(state["noise"]) if learned else likelihood
