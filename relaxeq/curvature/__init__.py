"""Curvature: Kronecker factors collected from sites, and the exact truth. Knows no group, no path."""

from relaxeq.curvature.exact import exact_ggn
from relaxeq.curvature.kfac import Estimate, Fisher, estimate, kfac
from relaxeq.curvature.kronecker import KroneckerBlock
from relaxeq.curvature.recording import Batch, checked_batch

__all__ = ["Batch", "Estimate", "Fisher", "KroneckerBlock", "checked_batch", "estimate", "exact_ggn", "kfac"]
