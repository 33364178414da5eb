"""The frame: what every path of a layer is told."""

from dataclasses import dataclass
from typing import final

from relaxeq.errors import SpecError
from relaxeq.fields import Field
from relaxeq.groups import FiniteGroup, Subgroup

FILTERS = ("full", "separable", "depthwise-separable", "pointwise")


@final
@dataclass(frozen=True)
class Frame:
    """Where a path of a layer lives: its fields and the kind of its filters.

    `fine` is the target on the source's grid, where equivariant paths end; `target` is the coarse
    field that layers with stride return, where paths without symmetry end directly.
    """

    source: Field
    target: Field
    kernel_size: int
    filters: str = "pointwise"

    def __post_init__(self) -> None:
        if self.filters not in FILTERS:
            raise SpecError(f"filters={self.filters!r} is not one of {', '.join(FILTERS)}.")

    @property
    def fine(self) -> Field:
        return self.target.resized(self.source.size)

    def subgroup(self, part: FiniteGroup | Subgroup | None = None) -> Subgroup:
        """K inside the point group of the fields: all of it unless given."""
        group = self.source.group.point_group
        return group.as_subgroup(group if part is None else part)
