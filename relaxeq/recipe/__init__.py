"""The recipe: fit, where paths, curvature and evidence meet."""

from relaxeq.recipe.fit import fit
from relaxeq.recipe.options import Options
from relaxeq.recipe.priors import prior_groups
from relaxeq.recipe.result import FitResult, LearnedPrior

__all__ = ["FitResult", "LearnedPrior", "Options", "fit", "prior_groups"]
