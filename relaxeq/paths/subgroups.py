"""Names of subgroups, as labels and tables print them and specs read them back."""

from collections.abc import Iterator

from relaxeq.errors import GroupError
from relaxeq.groups import FiniteGroup, PointGroup, Subgroup, cyclic, dihedral, point_group, trivial


def subgroup_name(part: Subgroup) -> str:
    """The name of the group that K is ("p4", "C3", "e") where it has one place, or its elements.

    Elements are written in the order of the parent, as in "{e, r2s}".
    """
    if part.order == part.parent.order:
        return part.parent.name
    for known in _candidates(part):
        try:
            if part.parent.as_subgroup(known) == part:
                return known.name
        except GroupError:  # it fits in several places: elements say which
            continue
    return f"{{{', '.join(part.parent.names[i] for i in part.embedding)}}}"


def _candidates(part: Subgroup) -> Iterator[FiniteGroup]:
    if isinstance(part.parent, PointGroup):
        names = [f"C{part.order}"] + [f"D{part.order // 2}"] * (part.order % 2 == 0)
        yield from map(point_group, names)
        return
    yield trivial() if part.order == 1 else cyclic(part.order)
    if part.order % 2 == 0:
        yield dihedral(part.order // 2)
