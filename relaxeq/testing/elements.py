"""Elements: which of a group's elements a test should try."""

import random
from collections.abc import Sequence
from fractions import Fraction

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
from relaxeq.paths import find_subgroup
from relaxeq.testing.actions import Action, AnyElement, OnGrid, OnVectors, OwnFrames, Typed

KnownGroup = PlanarGroup | Group | Subgroup
AnyGroup = KnownGroup | str
SMALL = 60


def telling_elements(group: KnownGroup, x: Tensor, y: Tensor) -> tuple[AnyElement, ...]:
    """The elements on which to test a map that takes x to y."""
    return tuple(dict.fromkeys((*probing_elements(group, x), *far_shifts(group, x, y))))


def probing_elements(group: KnownGroup, x: Tensor) -> tuple[AnyElement, ...]:
    """Elements enough to tell whether a map commutes with the group.

    Generators would do for linear maps, and for others on all data. On a few data compositions show
    more: turns with shifts; all elements of a finite group, or 60 of a larger one, drawn from seed
    0, generators among them; four random elements of a Lie group.
    """
    if isinstance(group, PlanarGroup):
        return _on_grid(group, x)
    if isinstance(group, Subgroup):
        inside = tuple(group.parent.elements[i] for i in group.embedding)
        return _some(inside, [inside[g.index] for g in group.group.generators])
    if isinstance(group, FiniteGroup):
        return _some(group.elements, group.generators)
    if isinstance(group, MatrixLieGroup):
        return (*group.discrete_elements, *(group.random(seed) for seed in range(4)))
    raise GroupError(
        f"group={group!r} is no group whose elements are known: write groups.planar('p4'), say, or "
        "elements=[...]."
    )


def far_shifts(group: KnownGroup, x: Tensor, y: Tensor) -> tuple[AnyElement, ...]:
    """Shifts of x that arrive as 1 or more on the grid of y, coarser by r: by r, and by r + 1.

    Shorter ones may all arrive as 0, where a module that reads positions is still. Vectors y may
    come from any grid within, so halves and quarters of the grid of x stand for r.
    """
    if not isinstance(group, PlanarGroup):
        return ()
    ends = (y.shape[2], y.shape[3]) if y.ndim == 4 else (1, 1)
    rows, columns = map(_strides, x.shape[2:], ends)
    return tuple(
        group.element(shift)
        for r, s in zip(rows, columns, strict=True)
        for shift in ((r, 0), (0, s), (r, s + 1))
    )


def group_on(action: Action, group: AnyGroup, x: Tensor) -> KnownGroup:
    """The group as the features x under this action know it.

    A planar group on grids; on vectors the group of ρ or a subgroup of it. Under an action of the
    user's own it is taken as given, but texts and point groups on four axes mean planar groups.
    """
    if isinstance(group, PlanarGroup):
        return group  # on vectors `probing_elements` refuses it, by their shape
    if isinstance(action, OnVectors):
        return group_within(action.rho.group, group)
    if isinstance(action, OnGrid | OwnFrames | Typed) or isinstance(group, str):
        return planar_group(group)
    own = group.group if isinstance(group, Subgroup) else group
    return planar_group(group) if x.ndim == 4 and isinstance(own, PointGroup) else group


def group_within(own: Group, group: AnyGroup) -> Group | Subgroup:
    """`own`, or the subgroup of it that `group` names."""
    return own if group == own else find_subgroup(own, group)


def _some(
    elements: tuple[AnyElement, ...], generators: Sequence[AnyElement]
) -> tuple[AnyElement, ...]:
    if len(elements) <= SMALL:
        return elements
    drawn = random.Random(0).sample(elements, SMALL)
    return tuple(dict.fromkeys((*generators, *drawn)))[:SMALL]


def _strides(size: int, end: int) -> tuple[int, int]:
    """The least shift that arrives as whole pixels, or a half and a quarter if that is all."""
    whole = Fraction(end, size).denominator
    return (whole, whole) if whole < size else (max(1, size // 2), max(1, size // 4))


def _on_grid(group: PlanarGroup, x: Tensor) -> tuple[AnyElement, ...]:
    if x.ndim != 4:
        raise GroupError(
            f"group={group!r} acts on grids, and x has shape {tuple(x.shape)}, no grid."
        )
    size = (x.shape[2], x.shape[3])
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
