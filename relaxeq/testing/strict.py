"""Strictness: switching off whatever is less symmetric than a group."""

from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import nn

from relaxeq.groups import FiniteGroup, PlanarGroup, Subgroup
from relaxeq.layers import RelaxedLayer, RelaxedLinear
from relaxeq.paths import Path
from relaxeq.testing.stated import Stated, contains, stated_group

M = TypeVar("M", bound=nn.Module)


@torch.no_grad()
def make_strict_(module: M, group: Stated) -> M:
    """In place: σ² = 0 and weights 0 for every path whose stated symmetry does not hold `group`.

    What remains of relaxeq's layers is equivariant to `group` by construction. Returns the module.
    """
    for path, stated in _stated_paths(module):
        if not includes(stated, group):
            (path.amplitudes or path).prior_variance = 0.0
            path.sample_prior_()
    return module


def _stated_paths(module: nn.Module) -> Iterator[tuple[Path, Stated | None]]:
    """Every path of relaxeq's layers, and the module itself if it is one."""
    if isinstance(module, Path):
        yield module, stated_group(module)
    for layer in module.modules():
        if isinstance(layer, RelaxedLayer | RelaxedLinear):
            for path in layer.paths.values():
                assert isinstance(path, Path)
                yield path, stated_group(path, layer.source)


def includes(stated: Stated | None, group: Stated) -> bool:
    """Whether the stated symmetry of a path holds every element of `group`."""
    if isinstance(stated, PlanarGroup) and isinstance(group, PlanarGroup):
        return contains(stated.point_group, group.point_group)
    if isinstance(stated, Subgroup) and isinstance(group, Subgroup):
        return stated.parent == group.parent and set(group.embedding) <= set(stated.embedding)
    if isinstance(stated, FiniteGroup) and isinstance(group, Subgroup):
        return group.parent == stated
    return stated == group
