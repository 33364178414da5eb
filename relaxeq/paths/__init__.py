"""Paths: linear maps with one symmetry and one prior each. One file per path."""

from relaxeq.paths.base import GaussianModule, Path
from relaxeq.paths.bias import Bias
from relaxeq.paths.factored import FactoredFC
from relaxeq.paths.fc import FC
from relaxeq.paths.frame import FILTERS, Frame
from relaxeq.paths.gconv import GroupConv
from relaxeq.paths.separable import StagedConv, depthwise_separable_conv, separable_conv
from relaxeq.paths.spec import PATHS, parse_spec

__all__ = [
    "FC",
    "FILTERS",
    "PATHS",
    "Bias",
    "FactoredFC",
    "Frame",
    "GaussianModule",
    "GroupConv",
    "Path",
    "StagedConv",
    "depthwise_separable_conv",
    "parse_spec",
    "separable_conv",
]
