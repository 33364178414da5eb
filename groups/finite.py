"""Finite groups as values: elements that multiply, subgroups that know their parent."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from relaxeq.errors import GroupError
from relaxeq.groups import tables
from relaxeq.groups.tables import Indices, Table


@final
@dataclass(frozen=True, eq=True)
class Element:
    """Element number `index` of a finite group: `g @ h` multiplies, `~g` inverts."""

    group: "FiniteGroup"
    index: int

    def __matmul__(self, other: "Element") -> "Element":
        if not isinstance(other, Element):
            return NotImplemented
        if other.group != self.group:
            raise GroupError(
                f"g @ h: {self} is of {self.group} and {other} is of {other.group}. "
                "Multiply elements of one group."
            )
        return Element(self.group, int(self.group.mul[self.index, other.index]))

    def __invert__(self) -> "Element":
        return Element(self.group, int(self.group.inv[self.index]))

    def __repr__(self) -> str:
        return self.group.names[self.index]


class FiniteGroup(ABC):
    """A finite group, held as its Cayley table in the order of its elements.

    Two groups are equal when they have the same table in the same order of elements, and, where
    they are point groups, the same matrices. The name and the names of elements do not matter.
    """

    def __init__(self, mul: Table, name: str, names: Sequence[str] | None = None) -> None:
        self.mul: Table = _frozen(mul)
        self.name = name
        self.names = tuple(names) if names else tuple(f"g{i}" for i in range(len(mul)))

    @abstractmethod
    def _key(self) -> tuple[Any, ...]:
        """What equality and hash compare."""

    @abstractmethod
    def _restricted(self, members: Indices, name: str) -> "FiniteGroup":
        """The subgroup on these members as a group of its own."""

    @abstractmethod
    def _places(self, part: "FiniteGroup") -> list[Indices]:
        """The subgroups, as sorted indices, that `part` can mean."""

    @cached_property
    def inv(self) -> Table:
        """inv[i], the index of the inverse of element i."""
        return _frozen(tables.inverses_of(self.mul))

    @property
    def order(self) -> int:
        """The number of elements."""
        return len(self.mul)

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        """All elements; `elements[i].index == i`."""
        return tuple(Element(self, i) for i in range(self.order))

    @cached_property
    def identity(self) -> Element:
        """The element e with e @ g = g @ e = g."""
        return self.elements[tables.identity_of(self.mul)]

    @cached_property
    def generators(self) -> tuple[Element, ...]:
        """A few elements whose products are the whole group; none for the trivial group."""
        return tuple(self.elements[i] for i in tables.generators_of(self.mul))

    @cached_property
    def is_abelian(self) -> bool:
        """Whether g @ h = h @ g for all elements."""
        return bool((self.mul == self.mul.T).all())

    def subgroup(self, generators: "Iterable[Element | int]") -> "Subgroup":
        """The subgroup that these elements (or indices of elements) generate."""
        return Subgroup(self, tables.closure(self.mul, [self._index(g) for g in generators]))

    def subgroups(self, conjugacy: bool = False) -> "tuple[Subgroup, ...]":
        """All subgroups, smallest first; one per conjugacy class if `conjugacy`."""
        found = tables.subgroups_of(self.mul)
        if conjugacy:
            found = [s for s in found if s == min(tables.conjugates_of(self.mul, s))]
        return tuple(Subgroup(self, members) for members in found)

    def as_subgroup(self, part: "FiniteGroup | Subgroup") -> "Subgroup":
        """`part` as a subgroup of this group.

        A Subgroup of this group is returned as it is. A point group inside a point group is found
        by its matrices. Any other group is found by its table, and must fit in one place only.
        """
        if isinstance(part, Subgroup):
            if part.parent == self:
                return part
            raise GroupError(
                f"part: {part} is a subgroup of {part.parent}, not of {self}. "
                "Give group.subgroup([...]) of this group."
            )
        if not isinstance(part, FiniteGroup):
            raise GroupError(f"part: {part!r} is no group. Give a subgroup of {self}.")
        places = self._places(part)
        if len(places) != 1:
            fits = f"fits in {len(places)} ways into" if places else "does not fit into"
            raise GroupError(
                f"part: {part} {fits} {self}. Say which elements are meant, by generators: "
                "group.subgroup([group.elements[1]]); group.subgroups() lists all."
            )
        return Subgroup(self, places[0])

    def is_subgroup(self, part: "FiniteGroup | Subgroup") -> bool:
        """Whether `part` is a subgroup of this group, or fits into it as one."""
        if isinstance(part, Subgroup):
            return part.parent == self
        return bool(self._places(part))

    def _index(self, g: Element | int) -> int:
        if isinstance(g, Element) and g.group == self:
            return g.index
        if isinstance(g, (int, np.integer)) and 0 <= g < self.order:
            return int(g)
        raise GroupError(
            f"g: {g!r} is not an element of {self}. "
            f"Give one of group.elements, or an index in 0..{self.order - 1}."
        )

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, FiniteGroup) and self._key() == other._key())

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return self.name


@final
class TableGroup(FiniteGroup):
    """An abstract finite group: nothing but its table."""

    def _key(self) -> tuple[Any, ...]:
        return (self.mul.shape, self.mul.tobytes())

    def _restricted(self, members: Indices, name: str) -> FiniteGroup:
        names = [self.names[i] for i in members]
        return TableGroup(tables.restricted(self.mul, members), name, names)

    def _places(self, part: FiniteGroup) -> list[Indices]:
        return tables.copies_of(part.mul, self.mul)

    def __reduce__(self) -> tuple[Any, ...]:
        return (TableGroup, (np.array(self.mul), self.name, self.names))


@final
@dataclass(frozen=True, eq=True, repr=False)
class Subgroup:
    """A subgroup K of a group H: `embedding` holds, ascending, the indices in H of its elements."""

    parent: FiniteGroup
    embedding: Indices

    @cached_property
    def group(self) -> FiniteGroup:
        """K as a group of its own; its element i is element `embedding[i]` of the parent."""
        return self.parent._restricted(self.embedding, repr(self))

    @property
    def order(self) -> int:
        """|K|."""
        return len(self.embedding)

    @property
    def index(self) -> int:
        """|H| / |K|, the number of cosets."""
        return self.parent.order // self.order

    @cached_property
    def right_transversal(self) -> Indices:
        """Indices t, ascending, the lowest of each right coset K t: H is the union of these."""
        return tables.right_transversal(self.parent.mul, self.embedding)

    @cached_property
    def left_transversal(self) -> Indices:
        """Indices t, ascending, the lowest of each left coset t K: H is the union of these."""
        return tables.left_transversal(self.parent.mul, self.embedding)

    @property
    def is_normal(self) -> bool:
        """Whether g K = K g for every g of the parent."""
        return tables.conjugates_of(self.parent.mul, self.embedding) == {self.embedding}

    def __repr__(self) -> str:
        names = [self.parent.names[i] for i in self.embedding]
        return f"{self.parent}{{{', '.join(names)}}}"


def _frozen(array: Table) -> Table:
    array = np.array(array, dtype=np.int64)
    array.setflags(write=False)
    return array
