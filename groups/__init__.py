"""Groups and their representations: values that compare, hash, print and multiply."""

# The files lie at the top level of a checkout: under a second name every class would exist twice.
if __name__ != "relaxeq.groups":
    raise ImportError(f"this package is not {__name__!r}: write `from relaxeq import groups`")

from relaxeq.groups.finite import Element, FiniteGroup, Subgroup, TableGroup
from relaxeq.groups.planar import Z2, PlanarElement, PlanarGroup, planar, semidirect
from relaxeq.groups.point import PointGroup, p1, p2, p4, p4m, pm, pmm, point_group
from relaxeq.groups.standard import cyclic, dihedral, subgroup, trivial

__all__ = [
    "Element",
    "FiniteGroup",
    "PlanarElement",
    "PlanarGroup",
    "PointGroup",
    "Subgroup",
    "TableGroup",
    "Z2",
    "cyclic",
    "dihedral",
    "p1",
    "p2",
    "p4",
    "p4m",
    "planar",
    "pm",
    "pmm",
    "point_group",
    "semidirect",
    "subgroup",
    "trivial",
]
