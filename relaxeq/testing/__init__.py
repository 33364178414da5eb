"""Testing: property tests of symmetry, for relaxeq's layers and for users' own."""

from relaxeq.testing.actions import Action, Invariant, OnGrid, OwnFrames, Typed, Vectors
from relaxeq.testing.equivariance import assert_equivariant, equivariance_error
from relaxeq.testing.report import ElementError, EquivarianceReport, ModuleErrors

__all__ = [
    "Action",
    "ElementError",
    "EquivarianceReport",
    "Invariant",
    "ModuleErrors",
    "OnGrid",
    "OwnFrames",
    "Typed",
    "Vectors",
    "assert_equivariant",
    "equivariance_error",
]
