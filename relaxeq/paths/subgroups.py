"""Subgroups of a layer's group: found from what a user gives, named as labels and specs say."""

from collections.abc import Iterator
from functools import lru_cache

from relaxeq.errors import GroupError, SpecError
from relaxeq.groups import FiniteGroup, PointGroup, Subgroup, cyclic, dihedral, point_group, trivial
from relaxeq.groups.abstract import Group
from relaxeq.groups.tables import same_matrices


def find_subgroup(group: Group, part: object) -> Subgroup:
    """K ≤ H from a Subgroup, a group or a name such as "p2", "C2", "e" or "{e, r2s}".

    Groups written as matrices of one size (point groups, cyclic(n) and dihedral(n) as they turn the
    plane) are found by these: cyclic(2) in p4m is the half turn. Others must fit in one place only.
    """
    if not isinstance(group, FiniteGroup):
        raise GroupError(
            f"{part!r}: subgroups of {group} are not listed. Restrict the representations, "
            "and build the layer on the smaller group."
        )
    if isinstance(part, str):
        return _named(group, part)
    if isinstance(part, Subgroup) and part.parent != group:
        part = part.group
    if isinstance(part, FiniteGroup):
        places = same_matrices(part.concrete, group.concrete)
        return group.subgroup(places) if places else group.as_subgroup(part)
    return group.as_subgroup(part)  # type: ignore[arg-type]  # it says what is wrong


@lru_cache(maxsize=1024)
def subgroup_name(part: Subgroup) -> str:
    """The name of the group that K is ("p4", "C3", "e") where it has one place, or its elements.

    Elements are written in the order of the parent, as in "{e, r2s}", by number if their own names
    hold dots, brackets or plus signs.
    """
    if part.order == part.parent.order and _plain(part.parent.name):
        return part.parent.name
    for known in _candidates(part):
        try:
            if part.parent.as_subgroup(known) == part:
                return known.name
        except GroupError:  # it fits in several places: elements say which
            continue
    names = [part.parent.names[i] for i in part.embedding]
    if not all(map(_plain, names)):
        names = [str(i) for i in part.embedding]
    return f"{{{', '.join(names)}}}"


def symmetry_name(part: Subgroup) -> str:
    """Z2 or Z2 ⋊ K: what convolutions with K's filters commute with."""
    return "Z2" if part.order == 1 else f"Z2 ⋊ {subgroup_name(part)}"


def _plain(name: str) -> bool:
    """Whether specs and the names of parameters can hold it."""
    return not set(name) & set(".+[]{}")


def _candidates(part: Subgroup) -> Iterator[FiniteGroup]:
    if isinstance(part.parent, PointGroup):
        names = [f"C{part.order}"] + [f"D{part.order // 2}"] * (part.order % 2 == 0)
        yield from map(point_group, names)
        return
    yield trivial() if part.order == 1 else cyclic(part.order)
    if part.order % 2 == 0:
        yield dihedral(part.order // 2)


def _named(group: FiniteGroup, name: str) -> Subgroup:
    every = {subgroup_name(part): part for part in group.subgroups()}
    if name in every:
        return every[name]
    if isinstance(group, PointGroup):
        try:
            return group.as_subgroup(point_group(name))  # another name, such as C4 for p4
        except GroupError:
            pass
    raise SpecError(
        f"{name!r} is no subgroup of {group}: write one of {', '.join(map(repr, every))}."
    )
