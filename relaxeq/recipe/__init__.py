"""The recipe: fit, where paths, curvature and evidence meet."""

from relaxeq.recipe.calibration import (
    Calibration,
    NormalCalibration,
    calibration,
    normal_calibration,
)
from relaxeq.recipe.checkpoint import read_run
from relaxeq.recipe.chunks import Chunks
from relaxeq.recipe.fit import fit
from relaxeq.recipe.hypergradient import EvidenceGradient, evidence_gradient
from relaxeq.recipe.loaders import Loaders
from relaxeq.recipe.options import Options
from relaxeq.recipe.predict import held_out, posterior, predict, predict_normal
from relaxeq.recipe.priors import prior_groups
from relaxeq.recipe.result import FitResult, LearnedPrior

__all__ = [
    "Calibration",
    "Chunks",
    "EvidenceGradient",
    "FitResult",
    "LearnedPrior",
    "Loaders",
    "NormalCalibration",
    "Options",
    "calibration",
    "evidence_gradient",
    "fit",
    "held_out",
    "normal_calibration",
    "posterior",
    "predict",
    "predict_normal",
    "prior_groups",
    "read_run",
]
