"""Specs of layers between representations: "F-FC+MAP[S3]+MAP[C3]+FC"."""

from dataclasses import dataclass
from typing import final

from relaxeq.errors import GroupError
from relaxeq.groups import Subgroup, equivariant_basis, restricted
from relaxeq.groups.abstract import Group
from relaxeq.paths.base import Path
from relaxeq.paths.basis_map import BasisMap
from relaxeq.paths.cayley import CayleyConv
from relaxeq.paths.factored import FactoredFC
from relaxeq.paths.fc import FC
from relaxeq.paths.notation import Notation
from relaxeq.paths.space import Vectors
from relaxeq.paths.sparse.cayley import SparseCayley
from relaxeq.paths.sparse.fc import SparseFC
from relaxeq.paths.sparse.options import Sparse, sparse_from
from relaxeq.paths.subgroups import subgroup_name


@final
@dataclass(frozen=True)
class LinearFrame:
    """Where a path between representations lives; `part` is the K ≤ G of MAP[K], or None for G.

    `prior` says where sparse paths have their prior, and how they are built.
    """

    source: Vectors
    target: Vectors
    part: Subgroup | None = None
    prior: str | Sparse = "anchors"

    def __post_init__(self) -> None:
        sparse_from(self.prior)
        if self.source.rho.group != self.target.rho.group:
            raise GroupError(
                f"rho_out: it is of {self.target.rho.group}, rho_in of {self.source.rho.group}. "
                "Restrict both to one group: groups.restricted(rho, subgroup)."
            )

    @property
    def sparse(self) -> Sparse:
        """The options of sparse paths."""
        return sparse_from(self.prior)

    @property
    def group(self) -> Group:
        """G, the group of both representations."""
        return self.source.rho.group


def _map(frame: LinearFrame, label: str) -> Path:
    rho_in, rho_out, symmetry = frame.source.rho, frame.target.rho, frame.group.name
    if frame.part is not None:
        rho_in, rho_out = restricted(rho_in, frame.part), restricted(rho_out, frame.part)
        symmetry = subgroup_name(frame.part)
    basis = equivariant_basis(rho_in, rho_out)
    return BasisMap(frame.source, frame.target, basis, symmetry, label)


LINEAR_PATHS = {
    "FC": lambda frame, label: FC(frame.source, frame.target, label),
    "F-FC": lambda frame, label: FactoredFC(frame.source, frame.target, label),
    "MAP": _map,
    "GCONV": lambda frame, label: CayleyConv(frame.source, frame.target, label),
    "S-FC": lambda frame, label: SparseFC(frame.source, frame.target, label, frame.sparse),
    "S-GCONV": lambda frame, label: SparseCayley(frame.source, frame.target, label, frame.sparse),
}
LINEAR = Notation(
    LINEAR_PATHS,
    symmetric=("MAP",),
    of_subgroup=lambda part: "MAP",
    free="FC",
    example="F-FC+MAP",
)
