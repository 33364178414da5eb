"""Point groups of the plane: rotations and flips about a point, as matrices on (row, column)."""

import re
from functools import cached_property
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from relaxeq.errors import GroupError
from relaxeq.groups import tables
from relaxeq.groups.finite import FiniteGroup
from relaxeq.groups.standard import dihedral_names, power_names, reflections, rotations
from relaxeq.groups.tables import Indices, Table

_ALIASES = {"e": "C1", "p1": "C1", "p2": "C2", "p3": "C3", "p4": "C4", "p6": "C6"}
_ALIASES |= {"pm": "D1", "pmm": "D2", "p3m": "D3", "p4m": "D4", "p6m": "D6"}
_LATTICE_NAMES = {"C1": "p1", "C2": "p2", "C4": "p4", "D1": "pm", "D2": "pmm", "D4": "p4m"}


@final
class PointGroup(FiniteGroup):
    """A finite group of orthogonal matrices on (row, column) coordinates about a centre.

    `matrices` has shape (order, 2, 2): integers where the square grid is mapped to itself
    (`on_lattice`), float64 elsewhere.
    """

    def __init__(
        self, mul: Table, matrices: NDArray[Any], name: str, names: tuple[str, ...] | None = None
    ) -> None:
        super().__init__(mul, name, names, np.array(matrices, float))
        # Rounded, so that matrices reached by another product still compare equal.
        self._rounded = np.round(np.asarray(matrices, float), 9) + 0.0
        self.matrices: NDArray[Any] = np.array(
            self._rounded.astype(np.int64) if self.on_lattice else matrices
        )
        self.matrices.setflags(write=False)

    @property
    def on_lattice(self) -> bool:
        """Whether every element maps the square grid to itself (C1 C2 C4 D1 D2 D4)."""
        return bool((self._rounded == np.rint(self._rounded)).all())

    @cached_property
    def turns(self) -> bool:
        """Whether some element exchanges rows and columns, so that only square tori are kept."""
        return bool((self.matrices[:, 0, 1] != 0).any())

    def _key(self) -> tuple[Any, ...]:
        return (self.mul.shape, self.mul.tobytes(), self._rounded.tobytes())

    def _restricted(self, members: Indices, name: str) -> FiniteGroup:
        names = tuple(self.names[i] for i in members)
        table = tables.restricted(self.mul, members)
        return PointGroup(table, self.matrices[list(members)], name, names)

    def _places(self, part: FiniteGroup) -> list[Indices]:
        if not isinstance(part, PointGroup):
            return tables.copies_of(part.mul, self.mul)
        exact = tables.same_matrices(part.matrices, self.matrices)
        return [exact] if exact else []

    def __reduce__(self) -> tuple[Any, ...]:
        return (PointGroup, (np.array(self.mul), np.array(self.matrices), self.name, self.names))


def point_group(name: str) -> PointGroup:
    """C1, C2, … (rotations) or D1, D2, … (with flips); p1 p2 p4 pm pmm p4m name those of the grid.

    Rotation k of C_n turns by k·360°/n, for n = 4 as `torch.rot90(x, k, dims=(-2, -1))` does:
    R = [[0, −1], [1, 0]] on (row, column). The flip is F = diag(1, −1): columns reversed. Element
    k + n f of D_n is R^k F^f, escnn's order.
    """
    known = (
        re.fullmatch(r"([CD])([1-9]\d*)", _ALIASES.get(name, name))
        if isinstance(name, str)
        else None
    )
    if known is None:
        raise GroupError(
            f"name: {name!r} is no point group. Write 'C4' (rotations), 'D4' (with flips), "
            f"or one of {', '.join(_ALIASES)}."
        )
    family, n = known[1], int(known[2])
    printed = _LATTICE_NAMES.get(known[0], known[0])
    if family == "C":
        return PointGroup(tables.cyclic(n), rotations(n), printed, power_names(n))
    return PointGroup(tables.dihedral(n), reflections(n), printed, dihedral_names(n))


def p1() -> PointGroup:
    """C1, the point group with the identity alone."""
    return point_group("C1")


def p2() -> PointGroup:
    """C2: the identity and the half turn."""
    return point_group("C2")


def p4() -> PointGroup:
    """C4: quarter turns; element k is rot90 by k."""
    return point_group("C4")


def pm() -> PointGroup:
    """D1: the identity and the flip of columns."""
    return point_group("D1")


def pmm() -> PointGroup:
    """D2: half turn and both flips."""
    return point_group("D2")


def p4m() -> PointGroup:
    """D4: quarter turns and flips."""
    return point_group("D4")
