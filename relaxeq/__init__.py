"""relaxeq: layers that learn how much symmetry they should have."""

from relaxeq import errors, groups, models
from relaxeq.curvature import KroneckerBlock, exact_ggn, kfac
from relaxeq.evidence import LBFGS, Adam, MacKay
from relaxeq.fields import Field
from relaxeq.layers import Lift, OrientationPool, RelaxedLayer, RelaxedLinear
from relaxeq.recipe import Chunks, FitResult, Loaders, Options, fit
from relaxeq.report import Report, plot_sparse, summary
from relaxeq.sites import Site, deterministic, register_sites, tap

__all__ = [
    "LBFGS",
    "Adam",
    "Chunks",
    "Field",
    "FitResult",
    "KroneckerBlock",
    "Lift",
    "Loaders",
    "OrientationPool",
    "MacKay",
    "Options",
    "RelaxedLayer",
    "RelaxedLinear",
    "Report",
    "Site",
    "deterministic",
    "errors",
    "exact_ggn",
    "fit",
    "groups",
    "kfac",
    "models",
    "plot_sparse",
    "register_sites",
    "summary",
    "tap",
]
