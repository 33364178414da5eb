"""Subgroups of a layer's group: found from what a user gives, named as labels and specs say."""

import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import lru_cache

from relaxeq.errors import GroupError, SpecError
from relaxeq.groups import FiniteGroup, PointGroup, Subgroup, cyclic, dihedral, point_group, trivial
from relaxeq.groups.abstract import Group
from relaxeq.groups.tables import SUBGROUPS_BOUND, same_matrices


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


def subgroup_name(part: Subgroup) -> str:
    """The name of the group that K is ("p4", "C3", "e") where it has one place, or its elements.

    Elements are written in the order of the parent, as in "{e, r2s}", by number if names of its
    elements hold dots, brackets, commas or plus signs. `find_subgroup` reads the name back.
    """
    return _name(part, part.parent.written)


@lru_cache(maxsize=1024)
def _name(part: Subgroup, written: Hashable) -> str:
    parent = part.parent
    if part.order == parent.order and _plain(parent.name):
        return parent.name
    for known in _candidates(part):
        try:
            if parent.as_subgroup(known) == part and known.name != parent.name:
                return known.name
        except GroupError:  # it fits in several places: elements say which
            continue
    return _listed(parent, part.embedding)


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


def _listed(group: FiniteGroup, members: Iterable[int]) -> str:
    names = _element_names(group)
    return f"{{{', '.join(names[i] for i in members)}}}"


def _element_names(group: FiniteGroup) -> Sequence[str]:
    """Their own, or numbers where a list of these could not be read: pairs "(e, r)" can."""
    for name in group.names:
        if not _plain(name) or ("," in name and name[0] + name[-1] != "()"):
            return [str(i) for i in range(group.order)]
    return group.names


def _named(group: FiniteGroup, name: str) -> Subgroup:
    """The subgroup that `subgroup_name` calls so; also by other names of a point group, as C4."""
    members, rest = [], f", {name[1:-1]}, "
    for i, own in enumerate(_element_names(group)):
        if rest.startswith(f", {own}, "):
            members.append(i)
            rest = rest[len(own) + 2 :]
    found = group.subgroup(members)
    if _listed(group, found.embedding) == name:
        return found
    if name == group.name:
        return group.as_subgroup(group)
    try:
        return group.as_subgroup(_known(group, name))
    except GroupError as error:
        raise SpecError(f"{name!r} is no subgroup of {group}: {_choices(group)}.") from error


def _known(group: FiniteGroup, name: str) -> FiniteGroup:
    """The group of this name, where it is no larger than `group`."""
    number = int(re.sub("[^0-9]", "", name) or 0)
    if number <= group.order and isinstance(group, PointGroup):
        return point_group(name)
    if name == "e":
        return trivial()
    families = {f"C{number}": cyclic, f"D{number}": dihedral}
    if not 1 <= number <= group.order or name not in families:
        raise GroupError(f"name: {name!r} is no group within {group}.")
    return families[name](number)


def _choices(group: FiniteGroup) -> str:
    if group.order > SUBGROUPS_BOUND:
        return f"write all elements of one, or give group.subgroup([...]) of {group}"
    return f"write one of {', '.join(repr(subgroup_name(part)) for part in group.subgroups())}"
