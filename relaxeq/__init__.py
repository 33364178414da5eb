"""relaxeq: layers that learn how much symmetry they should have."""

from relaxeq import errors, groups, models
from relaxeq.curvature import KroneckerBlock, exact_ggn, kfac
from relaxeq.fields import Field
from relaxeq.layers import RelaxedLayer
from relaxeq.sites import Site, deterministic, register_sites, tap

__all__ = [
    "Field",
    "KroneckerBlock",
    "RelaxedLayer",
    "Site",
    "deterministic",
    "errors",
    "exact_ggn",
    "groups",
    "kfac",
    "models",
    "register_sites",
    "tap",
]
