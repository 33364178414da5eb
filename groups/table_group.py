"""Abstract finite groups."""

from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from relaxeq.groups import tables
from relaxeq.groups.finite import FiniteGroup
from relaxeq.groups.tables import Indices, Table


@final
class TableGroup(FiniteGroup):
    """An abstract finite group: nothing but its table counts.

    `concrete`, of shape (order, d, d), is a faithful representation in which it was written down.
    """

    def __init__(
        self,
        mul: Table,
        name: str,
        names: Sequence[str] | None = None,
        concrete: NDArray[Any] | None = None,
    ) -> None:
        super().__init__(mul, name, names, None if concrete is None else np.array(concrete, float))

    def _key(self) -> tuple[Any, ...]:
        return (self.mul.shape, self.mul.tobytes())

    def _restricted(self, members: Indices, name: str) -> FiniteGroup:
        names = [self.names[i] for i in members]
        concrete = None if self.concrete is None else self.concrete[list(members)]
        return TableGroup(tables.restricted(self.mul, members), name, names, concrete)

    def _places(self, part: FiniteGroup) -> list[Indices]:
        exact = tables.same_matrices(part.concrete, self.concrete)
        return [exact] if exact else tables.copies_of(part.mul, self.mul)

    def __reduce__(self) -> tuple[Any, ...]:
        return (TableGroup, (np.array(self.mul), self.name, self.names, self.concrete))
