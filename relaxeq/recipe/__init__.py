"""The recipe: fit, where paths, curvature and evidence meet."""

from relaxeq.recipe.fit import fit
from relaxeq.recipe.hypergradient import EvidenceGradient, evidence_gradient
from relaxeq.recipe.loaders import Loaders
from relaxeq.recipe.options import Options
from relaxeq.recipe.predict import Calibration, calibration, held_out, posterior, predict
from relaxeq.recipe.priors import prior_groups
from relaxeq.recipe.result import FitResult, LearnedPrior

__all__ = [
    "Calibration",
    "EvidenceGradient",
    "FitResult",
    "LearnedPrior",
    "Loaders",
    "Options",
    "calibration",
    "evidence_gradient",
    "fit",
    "held_out",
    "posterior",
    "predict",
    "prior_groups",
]
