"""Paths: linear maps with one symmetry and one prior each. One file per path."""

from relaxeq.paths.base import GaussianModule, Path
from relaxeq.paths.basis_map import BasisMap
from relaxeq.paths.bias import Bias
from relaxeq.paths.cayley import CayleyConv
from relaxeq.paths.expansion import Expansion
from relaxeq.paths.factored import FactoredFC
from relaxeq.paths.fc import FC
from relaxeq.paths.filter_path import FilterPath, convolved_as_one, sums_as_one
from relaxeq.paths.frame import FILTERS, Frame
from relaxeq.paths.gauge import Gauged
from relaxeq.paths.gconv import GroupConv
from relaxeq.paths.invariant_bias import InvariantBias
from relaxeq.paths.linear_spec import LINEAR, LINEAR_PATHS, LinearFrame
from relaxeq.paths.notation import Notation
from relaxeq.paths.separable import StagedConv, depthwise_separable_conv, separable_conv
from relaxeq.paths.space import Space, Vectors
from relaxeq.paths.sparse.basis import Basis
from relaxeq.paths.sparse.cayley import SparseCayley
from relaxeq.paths.sparse.conv import SparseConv
from relaxeq.paths.sparse.fc import SparseFC
from relaxeq.paths.sparse.fit import AnchorFit, dense_weights, fit_anchors, least_squares
from relaxeq.paths.sparse.options import Sparse
from relaxeq.paths.sparse.path import SparsePath
from relaxeq.paths.sparse.position import PositionConv
from relaxeq.paths.spec import PATHS, build_paths, parse_spec, spec_of_groups
from relaxeq.paths.steer import SteerConv
from relaxeq.paths.subgroups import find_subgroup, subgroup_name

__all__ = [
    "FC",
    "FILTERS",
    "LINEAR",
    "LINEAR_PATHS",
    "PATHS",
    "AnchorFit",
    "Basis",
    "BasisMap",
    "Bias",
    "CayleyConv",
    "FactoredFC",
    "Expansion",
    "FilterPath",
    "Frame",
    "Gauged",
    "GaussianModule",
    "GroupConv",
    "InvariantBias",
    "LinearFrame",
    "Notation",
    "Path",
    "PositionConv",
    "Space",
    "Sparse",
    "SparseCayley",
    "SparseConv",
    "SparseFC",
    "SparsePath",
    "StagedConv",
    "Vectors",
    "SteerConv",
    "build_paths",
    "convolved_as_one",
    "dense_weights",
    "depthwise_separable_conv",
    "find_subgroup",
    "fit_anchors",
    "least_squares",
    "parse_spec",
    "separable_conv",
    "spec_of_groups",
    "subgroup_name",
    "sums_as_one",
]
