"""Paths: linear maps with one symmetry and one prior each. One file per path."""

from relaxeq.paths.base import GaussianModule, Path
from relaxeq.paths.bias import Bias
from relaxeq.paths.factored import FactoredFC
from relaxeq.paths.fc import FC
from relaxeq.paths.gconv import GroupConv
from relaxeq.paths.spec import PATHS, Frame, parse_spec

__all__ = [
    "FC",
    "PATHS",
    "Bias",
    "FactoredFC",
    "Frame",
    "GaussianModule",
    "GroupConv",
    "Path",
    "parse_spec",
]
