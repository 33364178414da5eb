"""Stated symmetry: the group that a path says it commutes with, as a value."""

from typing import Any

import numpy as np

from relaxeq.errors import GroupError, SpecError
from relaxeq.fields import Field
from relaxeq.groups import Z2, PlanarGroup, PointGroup, Subgroup, planar, semidirect
from relaxeq.groups.abstract import Group
from relaxeq.paths import Path, Vectors, find_subgroup

LATTICE = ("p1", "p2", "pm", "p4", "pmm", "p4m")
Stated = PlanarGroup | Subgroup | Group


def stated_group(path: Path, source: Field | Vectors | None = None) -> Stated | None:
    """The group behind `path.symmetry`; None for "none".

    A path that is equivariant to Z2 ⋊ K keeps K as its `part`, a Subgroup of the point group. On
    Vectors, the text names the group of ρ or one of its subgroups. Otherwise it must read as a
    planar group.
    """
    if path.symmetry == "none":
        return None
    part: Any = getattr(path, "part", None)
    if isinstance(part, Subgroup):
        own = part.group
        return semidirect(Z2(), own) if isinstance(own, PointGroup) else part
    if isinstance(source, Vectors):
        group: Group = source.rho.group
        return group if path.symmetry == group.name else find_subgroup(group, path.symmetry)
    try:
        return planar(path.symmetry)
    except GroupError as error:
        raise SpecError(
            f"symmetry={path.symmetry!r} of {path.label!r} reads as no planar group: write 'none', "
            "'Z2', 'Z2 ⋊ p4', …, or keep the subgroup K as the attribute `part`. For paths between "
            "vectors give their source."
        ) from error


def exact_part(group: PlanarGroup, size: tuple[int, int]) -> PlanarGroup:
    """The largest Z2 ⋊ K ≤ `group` that maps an H×W torus to itself: Z2 ⋊ p4 in Z2 ⋊ C8."""
    inside = [
        known
        for known in map(planar, LATTICE)
        if known.exact_on(size) and contains(group.point_group, known.point_group)
    ]
    return max(inside, key=lambda known: known.point_group.order)


def contains(group: PointGroup, part: PointGroup) -> bool:
    """Whether every matrix of `part` is one of `group`."""
    return all(any(np.allclose(m, kept) for kept in group.matrices) for m in part.matrices)


def parent_group(path: Path) -> PlanarGroup:
    """The group whose regular fields the path may map: that of its fields, K or larger."""
    part: Any = getattr(path, "part", None)
    if isinstance(part, Subgroup) and isinstance(part.parent, PointGroup):
        return semidirect(Z2(), part.parent)
    stated = stated_group(path)
    return stated if isinstance(stated, PlanarGroup) else Z2()
