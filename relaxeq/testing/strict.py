"""Strictness: switching off whatever is less symmetric than a group."""

from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import nn

from relaxeq.errors import GroupError, SpecError
from relaxeq.fields import Field
from relaxeq.groups import FiniteGroup, PlanarGroup, Subgroup
from relaxeq.layers import RelaxedLayer, RelaxedLinear
from relaxeq.paths import Path, Vectors
from relaxeq.testing.elements import AnyGroup, group_within, planar_group
from relaxeq.testing.stated import Stated, contains, stated_group

M = TypeVar("M", bound=nn.Module)


@torch.no_grad()
def make_strict_(module: M, group: AnyGroup) -> M:
    """In place: σ² = 0 and weights 0 for every path whose stated symmetry does not hold `group`.

    group: that of the layers' fields or representations, or a subgroup: as a value, or by its name.
    What remains of relaxeq's layers is equivariant to it by construction; a layer without such a
    path keeps its bias alone. Returns the module. Raises GroupError or SpecError for a group that
    is not inside the group of a layer.
    """
    if not isinstance(module, nn.Module):
        raise SpecError(f"module={module!r} must be a torch.nn.Module that holds relaxeq's layers.")
    found = [(path, stated_group(path, space), space) for path, space in _paths(module)]
    wanted = [_wanted(group, space) for _, _, space in found]
    for (path, stated, _), part in zip(found, wanted, strict=True):
        if not includes(stated, part):
            (path.amplitudes or path).prior_variance = 0.0
            path.sample_prior_()
    return module


def _paths(module: nn.Module) -> Iterator[tuple[Path, Field | Vectors | None]]:
    """Every path of relaxeq's layers with its source, and the module itself if it is a path."""
    if isinstance(module, Path):
        yield module, None
    for layer in module.modules():
        if isinstance(layer, RelaxedLayer | RelaxedLinear):
            for path in layer.paths.values():
                yield path, layer.source


def _wanted(group: AnyGroup, space: Field | Vectors | None) -> Stated:
    """The group as a layer on this space knows it."""
    if isinstance(space, Vectors):
        return group_within(space.rho.group, group)
    planar = planar_group(group)
    if space is not None and not contains(space.group.point_group, planar.point_group):
        raise GroupError(
            f"group={group} is not inside {space.group}, the group of the field {space}: write "
            "that group, or a subgroup of it."
        )
    return planar


def includes(stated: Stated | None, group: Stated) -> bool:
    """Whether the stated symmetry of a path holds every element of `group`."""
    if isinstance(group, Subgroup) and group.order == 1:
        return True
    if isinstance(stated, PlanarGroup) and isinstance(group, PlanarGroup):
        return contains(stated.point_group, group.point_group)
    if isinstance(stated, Subgroup) and isinstance(group, Subgroup):
        return stated.parent == group.parent and set(group.embedding) <= set(stated.embedding)
    if isinstance(stated, FiniteGroup) and isinstance(group, Subgroup):
        return group.parent == stated
    return stated == group
