"""Checks of stated symmetry: a path commutes with the group that it names."""

import itertools

import torch
from torch import Tensor

from relaxeq.errors import EquivarianceError, SpecError
from relaxeq.fields import Field
from relaxeq.groups import PlanarGroup
from relaxeq.paths import Path, Vectors
from relaxeq.testing.actions import Action, AnyElement, OnGrid, action_of
from relaxeq.testing.comparison import moved, relative_error, scale_between, turns
from relaxeq.testing.elements import telling_elements
from relaxeq.testing.stated import exact_part, parent_group, stated_group

TOLERANCE = 1e-10


@torch.no_grad()
def check_symmetry(
    path: Path, x: Tensor, source: Field | Vectors | None, target: Field | Vectors | None
) -> None:
    """Raise EquivarianceError unless f(a·x) = a·f(x) for the group that `path.symmetry` states.

    Of point groups that do not map the grid to itself, the part that does is tested. Without
    fields, features may transform in any way that suits the path's shapes.
    """
    if path.symmetry == "none":
        return
    if x.ndim != 4 and (source is None or target is None):
        raise SpecError(
            f"source and target of {path.label!r} are missing: give the relaxeq.testing.Vectors "
            "between which it maps."
        )
    stated = stated_group(path, source)
    if isinstance(stated, PlanarGroup):
        stated = exact_part(stated, (x.shape[2], x.shape[3]))
    assert stated is not None
    elements = telling_elements(stated, x, path(x))
    ways = itertools.product(
        _ways(path, path.in_shape, source), _ways(path, path.out_shape, target)
    )
    found = [(*_worst(path, x, elements, first, last), f"{first} → {last}") for first, last in ways]
    error, element, way = min(found, key=lambda entry: entry[0])
    if error > TOLERANCE:
        raise EquivarianceError(
            f"{path.label}: it states the symmetry {path.symmetry!r}, but f(a·x) differs from "
            f"a·f(x) by {error:.2e} relative to f(x) at a = {element} (features taken as {way})."
        )


def _worst(
    path: Path, x: Tensor, elements: tuple[AnyElement, ...], first: Action, last: Action
) -> tuple[float, AnyElement]:
    before = path(x)
    scale = scale_between(x, before)
    errors = [
        (relative_error(last, a, scale, path(moved(first, a, x, turn)), before, turn), a)
        for a, turn in itertools.product(elements, turns(x))
    ]
    return max(errors, key=lambda entry: entry[0])


def _ways(path: Path, shape: tuple[int, ...], field: Field | Vectors | None) -> list[Action]:
    if field is not None:
        return [action_of(field)]
    group = parent_group(path)
    found: list[Action] = [OnGrid(group, "trivial")]
    if shape[0] % group.point_group.order == 0:
        found.append(OnGrid(group, "regular"))
    return found
