"""The frame: what every path of a layer is told."""

from dataclasses import dataclass
from typing import final

from relaxeq.errors import SpecError
from relaxeq.fields import Field
from relaxeq.groups import PointGroup, Subgroup
from relaxeq.paths.sparse.options import Sparse, sparse_from

FILTERS = ("full", "separable", "depthwise-separable", "pointwise")


@final
@dataclass(frozen=True)
class Frame:
    """Where a path of a layer lives: its fields and the kind of its filters.

    `fine` is the target on the source's grid, where equivariant paths end; `target` is the coarse
    field that layers with stride return, where paths without symmetry end directly. `part` is the
    K ≤ H of a path such as GCONV[p2]; unless given it is all of H. `prior` says what the prior of
    sparse paths is placed on, and how they are built: "anchors", "lengthscales" or a Sparse.
    """

    source: Field
    target: Field
    kernel_size: int
    filters: str = "pointwise"
    part: Subgroup | None = None
    prior: str | Sparse = "anchors"

    def __post_init__(self) -> None:
        if self.filters not in FILTERS:
            raise SpecError(f"filters={self.filters!r} is not one of {', '.join(FILTERS)}.")
        sparse_from(self.prior)

    @property
    def fine(self) -> Field:
        return self.target.resized(self.source.size)

    @property
    def sparse(self) -> Sparse:
        """The options of sparse paths."""
        return sparse_from(self.prior)

    @property
    def group(self) -> PointGroup:
        """H, the point group of both fields."""
        return self.source.group.point_group

    def subgroup(self) -> Subgroup:
        """K: `part`, or all of H."""
        return self.group.as_subgroup(self.part or self.group)
