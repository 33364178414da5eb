"""Groups, their elements and representations."""

from collections.abc import Sequence
from functools import cache

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from relaxeq import groups as library
from relaxeq.groups import Element, FiniteGroup, PlanarElement, PlanarGroup, Representation
from relaxeq.testing.stated import LATTICE
from relaxeq.testing.strategies.drawing import Draw, composite

Size = tuple[int, int]


def planar_groups(*, points: Sequence[str] = LATTICE) -> SearchStrategy[PlanarGroup]:
    """Z2 ⋊ H for the named point groups H, those that keep the grid unless told otherwise."""
    return st.sampled_from([_planar(name) for name in points])


def groups(*, max_order: int = 24) -> SearchStrategy[FiniteGroup]:
    """Finite groups: cyclic, dihedral, symmetric, polyhedral, products and quaternions."""
    return st.sampled_from([group for group in _every_group() if group.order <= max_order])


@composite
def elements(
    draw: Draw, *, group: PlanarGroup | FiniteGroup, size: Size = (4, 4)
) -> PlanarElement | Element:
    """Elements of a group; of a planar one all that differ on an H×W torus, `size` = (H, W)."""
    if isinstance(group, FiniteGroup):
        element: Element = draw(st.sampled_from(group.elements))
        return element
    shift = tuple(draw(st.integers(0, n - 1)) for n in size)
    return group.element((shift[0], shift[1]), draw(st.sampled_from(group.point_group.elements)))


@composite
def representations(draw: Draw, *, group: FiniteGroup, max_dim: int = 8) -> Representation:
    """Direct sums of up to three of trivial, regular and irreducible representations."""
    known = (group.trivial, group.regular, *group.irreps)
    small = [rho for rho in known if rho.dim <= max_dim]
    total: Representation = draw(st.sampled_from(small))
    for _ in range(draw(st.integers(0, 2))):
        term = draw(st.sampled_from(small))
        total = total + term if total.dim + term.dim <= max_dim else total
    return total


@cache
def _planar(name: str) -> PlanarGroup:
    return library.planar(name)


@cache
def _every_group() -> tuple[FiniteGroup, ...]:
    """By order, so that examples shrink to the smallest group."""
    two, s3 = library.cyclic(2), library.symmetric(3)
    found = [library.cyclic(n) for n in range(1, 9)] + [library.dihedral(n) for n in range(1, 7)]
    found += [library.direct_product(two, two), library.direct_product(two, s3), _quaternions()]
    found += [s3, library.symmetric(4), library.octahedral(), library.icosahedral()]
    return tuple(sorted(found, key=lambda group: group.order))


def _quaternions() -> FiniteGroup:
    i = [[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0]]
    j = [[0, 0, -1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, -1, 0, 0]]
    return library.from_matrices([i, j], name="Q8")
