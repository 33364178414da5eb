"""Curvature: factors collected from sites, and the exact truth. Knows no group, no path."""

from relaxeq.curvature.batches import Batch, batches, checked_batch
from relaxeq.curvature.blocks import (
    Block,
    CorrectedBlock,
    DenseBlock,
    DiagonalBlock,
    KernelSpectrum,
    KroneckerBlock,
    Spectrum,
)
from relaxeq.curvature.collect import Fisher, Pass
from relaxeq.curvature.exact import exact_ggn
from relaxeq.curvature.flavours import FLAVOURS, Estimate, Flavour, check_flavour, estimate
from relaxeq.curvature.kfac import kfac
from relaxeq.curvature.normalisation import warn_of_normalisation
from relaxeq.curvature.posterior import Posterior
from relaxeq.curvature.precision import wide
from relaxeq.curvature.sampling import Bound, Subset

__all__ = [
    "FLAVOURS",
    "Batch",
    "Block",
    "Bound",
    "CorrectedBlock",
    "DenseBlock",
    "DiagonalBlock",
    "Estimate",
    "Fisher",
    "Flavour",
    "KernelSpectrum",
    "KroneckerBlock",
    "Pass",
    "Posterior",
    "Spectrum",
    "Subset",
    "check_flavour",
    "batches",
    "checked_batch",
    "estimate",
    "exact_ggn",
    "kfac",
    "warn_of_normalisation",
    "wide",
]
