"""Finite groups as values: elements that multiply, subgroups that know their parent."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from relaxeq.errors import GroupError
from relaxeq.groups import irreps, tables
from relaxeq.groups.abstract import Factor, Floats, Group
from relaxeq.groups.representation import Representation, explicit, one
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


class FiniteGroup(Group):
    """A finite group, held as its Cayley table in the order of its elements.

    Two groups are equal when they have the same table in the same order of elements, and, where
    they are point groups, the same matrices. The name, the names of elements and the matrices or
    permutations in which a group was written down (`natural`) do not matter.
    """

    def __init__(
        self, mul: Table, name: str, names: Sequence[str] | None, concrete: Floats | None
    ) -> None:
        self.mul: Table = tables.frozen(mul)
        self.name = name
        self.names = tuple(names) if names else tuple(f"g{i}" for i in range(len(mul)))
        self.concrete = concrete

    @cached_property
    def written(self) -> tuple[Any, ...]:
        """What equality leaves out: the names, and the matrices in which it was written down.

        A cache by groups whose results depend on these holds this value too.
        """
        concrete = None if self.concrete is None else (self.concrete.shape, self.concrete.tobytes())
        return (self.name, self.names, concrete)

    @abstractmethod
    def _restricted(self, members: Indices, name: str) -> "FiniteGroup":
        """The subgroup on these members as a group of its own."""

    @abstractmethod
    def _places(self, part: "FiniteGroup") -> list[Indices]:
        """The subgroups, as sorted indices, that `part` can mean."""

    @cached_property
    def inv(self) -> Table:
        """inv[i], the index of the inverse of element i."""
        return tables.frozen(tables.inverses_of(self.mul))

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

    @property
    def generator_count(self) -> int:
        """The length of `generators`."""
        return len(self.generators)

    @property
    def algebra_count(self) -> int:
        """0: there is no Lie algebra."""
        return 0

    @property
    def directions(self) -> Floats:
        """None: there is no Lie algebra."""
        return np.zeros((0, 0))

    @property
    def is_compact(self) -> bool:
        """True, as it is finite."""
        return True

    def factors(self, g: Element | int) -> tuple[Factor, ...]:
        """An element (or its index) as a word of places in `generators`."""
        return self._words[self.index(g)]

    @cached_property
    def _words(self) -> tuple[Indices, ...]:
        return tables.words(self.mul, [g.index for g in self.generators])

    @cached_property
    def is_abelian(self) -> bool:
        """Whether g @ h = h @ g for all elements."""
        return bool((self.mul == self.mul.T).all())

    @cached_property
    def regular(self) -> Representation:
        """ρ(g) e_h = e_{gh}, of dimension `order`, in the order of the elements."""
        images = tables.permutation_matrices(self.mul[[g.index for g in self.generators]])
        return Representation(self, images, np.zeros((0, self.order, self.order)), "regular")

    @cached_property
    def trivial(self) -> Representation:
        """ρ(g) = 1."""
        return one(self)

    @cached_property
    def natural(self) -> Representation:
        """The permutations or matrices in which the group was written down."""
        if self.concrete is None:
            raise GroupError(
                f"natural: {self} was not written down as permutations or matrices. "
                "Use group.regular, group.irreps or groups.representation."
            )
        images = self.concrete[[g.index for g in self.generators]]
        return explicit(self, images, np.zeros((0, *images.shape[1:])))

    @cached_property
    def irreps(self) -> tuple[Representation, ...]:
        """All irreducible representations over the reals, orthogonal, the trivial one first."""
        found = irreps.images(self.mul)
        return tuple(
            Representation(self, images, np.zeros((0, *images.shape[1:])), f"irrep({i})")
            for i, images in enumerate(found)
        )

    def irrep(self, i: int) -> Representation:
        """`irreps[i]`."""
        if not (isinstance(i, int | np.integer) and 0 <= i < len(self.irreps)):
            dims = [rho.dim for rho in self.irreps]
            raise GroupError(
                f"i: {self} has no irrep({i!r}). It has {len(dims)}, of dimensions {dims}: "
                f"write 0..{len(dims) - 1}."
            )
        return self.irreps[i]

    def subgroup(self, generators: "Iterable[Element | int]") -> "Subgroup":
        """The subgroup that these elements (or indices of elements) generate."""
        if not isinstance(generators, Iterable):
            raise GroupError(
                f"generators: {generators!r} is no list of elements. "
                f"Write group.subgroup([{generators!r}])."
            )
        return Subgroup(self, tables.closure(self.mul, [self.index(g) for g in generators]))

    def subgroups(self, conjugacy: bool = False) -> "tuple[Subgroup, ...]":
        """All subgroups, smallest first; one per conjugacy class if `conjugacy`."""
        found = tables.subgroups_of(self.mul)
        if conjugacy:
            found = [s for s in found if s == min(tables.conjugates_of(self.mul, s))]
        return tuple(Subgroup(self, members) for members in found)

    def as_subgroup(self, part: "FiniteGroup | Subgroup") -> "Subgroup":
        """`part` as a subgroup of this group.

        A Subgroup of this group is returned as it is, and one of an equal group with these names. A
        group written in the same kind of matrices or permutations is found by these, any other by
        its table, and must fit in one place only.
        """
        if isinstance(part, Subgroup):
            if part.parent == self:
                return part if part.parent is self else Subgroup(self, part.embedding)
            raise GroupError(
                f"part: {part} is a subgroup of {part.parent}, not of {self}. "
                "Give group.subgroup([...]) of this group."
            )
        if not isinstance(part, FiniteGroup):
            raise GroupError(f"part: {part!r} is no finite group. Give a subgroup of {self}.")
        places = [tuple(range(self.order))] if part == self else self._places(part)
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
        return isinstance(part, FiniteGroup) and bool(self._places(part))

    def index(self, g: Element | int) -> int:
        """The index of an element (or of an index, itself); an error if it is of another group."""
        if isinstance(g, Element) and g.group == self:
            return g.index
        if isinstance(g, int | np.integer) and 0 <= g < self.order:
            return int(g)
        of = f" (it is of {g.group})" if isinstance(g, Element) else ""
        raise GroupError(
            f"g: {g!r} is not an element of {self}{of}. "
            f"Give one of group.elements, or an index in 0..{self.order - 1}."
        )


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
        return tables.right_transversal(self.parent.mul.T, self.embedding)

    @cached_property
    def right_cosets(self) -> tuple[Indices, ...]:
        """The right cosets K t, in the order of `right_transversal`; column i is embedding[i] t."""
        members = list(self.embedding)
        return tuple(tuple(self.parent.mul[members, t].tolist()) for t in self.right_transversal)

    @cached_property
    def left_cosets(self) -> tuple[Indices, ...]:
        """The left cosets t K, in the order of `left_transversal`; column i is t embedding[i]."""
        members = list(self.embedding)
        return tuple(tuple(self.parent.mul[t, members].tolist()) for t in self.left_transversal)

    @property
    def is_normal(self) -> bool:
        """Whether g K = K g for every g of the parent."""
        return tables.conjugates_of(self.parent.mul, self.embedding) == {self.embedding}

    def __repr__(self) -> str:
        names = [self.parent.names[i] for i in self.embedding]
        return f"{self.parent}{{{', '.join(names)}}}"
