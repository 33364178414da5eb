"""Testing: property tests of symmetry, for relaxeq's layers and for users' own."""

from relaxeq.paths import Vectors
from relaxeq.testing.actions import Action, Invariant, OnGrid, OnVectors, OwnFrames, Typed
from relaxeq.testing.checks import CheckError
from relaxeq.testing.equivariance import assert_equivariant, equivariance_error
from relaxeq.testing.group_checks import check_group
from relaxeq.testing.path_checks import check_path
from relaxeq.testing.report import ElementError, EquivarianceReport, ModuleErrors
from relaxeq.testing.representation_checks import check_representation
from relaxeq.testing.strict import make_strict_

__all__ = [
    "Action",
    "CheckError",
    "ElementError",
    "EquivarianceReport",
    "Invariant",
    "ModuleErrors",
    "OnGrid",
    "OnVectors",
    "OwnFrames",
    "Typed",
    "Vectors",
    "assert_equivariant",
    "check_group",
    "check_path",
    "check_representation",
    "equivariance_error",
    "make_strict_",
]
