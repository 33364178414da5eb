"""Elements: which of a group's elements a test should try."""

from torch import Tensor

from relaxeq.errors import GroupError
from relaxeq.groups import Z2 as translations
from relaxeq.groups import (
    FiniteGroup,
    MatrixLieGroup,
    PlanarGroup,
    PointGroup,
    Subgroup,
    planar,
    semidirect,
)
from relaxeq.groups.abstract import Group
from relaxeq.testing.actions import AnyElement

AnyGroup = PlanarGroup | Group | Subgroup | str
SMALL = 60


def probing_elements(group: AnyGroup, x: Tensor) -> tuple[AnyElement, ...]:
    """Elements enough to tell whether a map commutes with the group.

    Generators would do in exact arithmetic; compositions of turns and shifts are tried with them.
    """
    if x.ndim == 4:
        return _on_grid(planar_group(group), (x.shape[2], x.shape[3]))
    if isinstance(group, Subgroup):
        return tuple(group.parent.elements[i] for i in group.embedding)
    if isinstance(group, FiniteGroup):
        return group.elements if group.order <= SMALL else group.generators
    if isinstance(group, MatrixLieGroup):
        return (*group.discrete_elements, *(group.random(seed) for seed in range(4)))
    raise GroupError(f"group={group!r} acts on grids, and x has shape {tuple(x.shape)}, no grid.")


def _on_grid(group: PlanarGroup, size: tuple[int, int]) -> tuple[AnyElement, ...]:
    if not group.exact_on(size):
        other = ", or a square grid" if group.exact else ""
        raise GroupError(
            f"group={group} does not map a {size[0]}×{size[1]} torus to itself, so f(a·x) = a·f(x) "
            f"can only hold roughly: test a subgroup that does, groups.planar('p2') say{other}."
        )
    composed = [group.element((1, 2), point) for point in group.point_group.elements]
    # A grid of one pixel under shifts alone has no generators; the identity still shows the module.
    return tuple(dict.fromkeys((*group.generators(size), *composed)))


def planar_group(group: AnyGroup) -> PlanarGroup:
    """Z2 ⋊ K of a planar group, its name, a point group K or a subgroup K of one."""
    if isinstance(group, str):
        return planar(group)
    if isinstance(group, Subgroup):
        group = group.group
    if isinstance(group, PointGroup):
        return semidirect(translations(), group)
    if isinstance(group, PlanarGroup):
        return group
    raise GroupError(
        f"group={group!r} does not act on grids: write a planar group such as groups.planar('p4')."
    )
