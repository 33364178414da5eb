"""Paths: linear maps with one symmetry and one prior each. One file per path."""

from relaxeq.paths.base import GaussianModule, Path
from relaxeq.paths.bias import Bias
from relaxeq.paths.factored import FactoredFC
from relaxeq.paths.fc import FC
from relaxeq.paths.frame import FILTERS, Frame
from relaxeq.paths.gconv import GroupConv
from relaxeq.paths.separable import StagedConv, depthwise_separable_conv, separable_conv
from relaxeq.paths.spec import PATHS, build_paths, parse_spec, spec_of_groups
from relaxeq.paths.subgroups import find_subgroup, subgroup_name

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
    "build_paths",
    "depthwise_separable_conv",
    "find_subgroup",
    "parse_spec",
    "separable_conv",
    "spec_of_groups",
    "subgroup_name",
]
