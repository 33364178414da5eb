"""Curvature: Kronecker factors collected from sites, and the exact truth. Knows no group, no path."""

from relaxeq.curvature.exact import exact_ggn
from relaxeq.curvature.kfac import Fisher, kfac
from relaxeq.curvature.kronecker import KroneckerBlock

__all__ = ["Fisher", "KroneckerBlock", "exact_ggn", "kfac"]
