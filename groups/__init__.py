"""Groups and their representations: values that compare, hash, print and multiply."""

# The files lie at the top level of a checkout: under a second name every class would exist twice.
if __name__ != "relaxeq.groups":
    raise ImportError(f"this package is not {__name__!r}: write `from relaxeq import groups`")

from relaxeq.groups.constructions import (
    change_of_basis,
    character,
    induced,
    matrices,
    permutation,
    quotient,
    representation,
    restricted,
)
from relaxeq.groups.expression import parse
from relaxeq.groups.finite import Element, FiniteGroup, Subgroup
from relaxeq.groups.generated import from_cayley_table, from_matrices, from_permutations
from relaxeq.groups.intertwiners import equivariant_basis
from relaxeq.groups.lie import O2, O3, SO2, SO3, LieElement, MatrixLieGroup
from relaxeq.groups.planar import Z2, PlanarElement, PlanarGroup, planar, semidirect
from relaxeq.groups.point import PointGroup, p1, p2, p4, p4m, pm, pmm, point_group
from relaxeq.groups.representation import Representation
from relaxeq.groups.standard import (
    cyclic,
    dihedral,
    direct_product,
    full_icosahedral,
    full_octahedral,
    icosahedral,
    octahedral,
    subgroup,
    symmetric,
    trivial,
)
from relaxeq.groups.table_group import TableGroup

__all__ = [
    "Element",
    "FiniteGroup",
    "LieElement",
    "MatrixLieGroup",
    "O2",
    "O3",
    "PlanarElement",
    "PlanarGroup",
    "PointGroup",
    "Representation",
    "SO2",
    "SO3",
    "Subgroup",
    "TableGroup",
    "Z2",
    "change_of_basis",
    "character",
    "cyclic",
    "dihedral",
    "direct_product",
    "equivariant_basis",
    "from_cayley_table",
    "from_matrices",
    "from_permutations",
    "full_icosahedral",
    "full_octahedral",
    "icosahedral",
    "induced",
    "matrices",
    "octahedral",
    "p1",
    "p2",
    "p4",
    "p4m",
    "parse",
    "permutation",
    "planar",
    "pm",
    "pmm",
    "point_group",
    "quotient",
    "representation",
    "restricted",
    "semidirect",
    "subgroup",
    "symmetric",
    "trivial",
]
