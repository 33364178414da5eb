"""Actions: how an element of a group moves the tensors that enter and leave a module."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from relaxeq.errors import GroupError, SpecError
from relaxeq.fields import Field
from relaxeq.fields.action import move_pixels
from relaxeq.groups import Element, LieElement, PlanarElement, PlanarGroup, Representation
from relaxeq.paths import Vectors

AnyElement = PlanarElement | Element | LieElement


class Action(ABC):
    """How elements of a group act on tensors with the batch first."""

    @abstractmethod
    def act(self, element: AnyElement, x: Tensor) -> Tensor:
        """a·x, of the shape of x."""


@final
@dataclass(frozen=True)
class Invariant(Action):
    """a·x = x: logits, and whatever else should not move."""

    def act(self, element: AnyElement, x: Tensor) -> Tensor:
        return x

    def __str__(self) -> str:
        return "invariant"


@final
@dataclass(frozen=True)
class OnGrid(Action):
    """Features (batch, depth, H, W) of a planar group on a grid of any size: those of `Field`.

    An element of another group moves them by its element of `group` with the same matrix.
    """

    group: PlanarGroup
    rep: str

    def act(self, element: AnyElement, x: Tensor) -> Tensor:
        own = on_grid(element, x)
        moved: Tensor = move_pixels(own, x)
        if self.rep == "trivial":
            return moved
        points = self.group.point_group
        place = within(self.group, own).point.index
        back = torch.as_tensor(np.array(points.mul[points.inv[place]]), device=x.device)
        sheets: Tensor = moved.unflatten(1, (-1, points.order))[:, :, back]
        return sheets.flatten(1, 2)

    def __str__(self) -> str:
        return self.rep


@final
@dataclass(frozen=True)
class OwnFrames(Action):
    """Sheets y[c, k] = R_k x[c], each turned into a frame of its own (channel c·|H| + k).

    a = (s, h) moves sheet k h to sheet k and rolls it by R_k s: pointwise maps keep this, maps that
    mix the sheets at equal pixels do not, since a translation moves each sheet its own way.
    """

    group: PlanarGroup

    def act(self, element: AnyElement, x: Tensor) -> Tensor:
        own = within(self.group, on_grid(element, x))
        points = self.group.point_group
        sheets = x.unflatten(1, (-1, points.order))
        come = torch.as_tensor(np.array(points.mul[:, own.point.index]), device=x.device)
        rolled = []
        for k, sheet in enumerate(sheets[:, :, come].unbind(2)):
            dy, dx = (points.matrices[k] @ np.asarray(own.shift)).tolist()
            rolled.append(torch.roll(sheet, (dy, dx), dims=(-2, -1)))
        return torch.stack(rolled, 2).flatten(1, 2)

    def __str__(self) -> str:
        return "own frames"


@final
@dataclass(frozen=True)
class Typed(Action):
    """Features of an escnn FieldType on a grid: pixels move, fibres turn by its representations.

    escnn's fibre group and the point group are matched by their matrices on the plane.
    """

    type: Any

    def act(self, element: AnyElement, x: Tensor) -> Tensor:
        own = on_grid(element, x)
        space = self.type.gspace
        axes = np.array([[0, -1], [1, 0]])  # (x, y) of escnn is (column, −row)
        for g in space.fibergroup.elements:
            if np.allclose(axes @ space.basespace_action(g) @ axes.T, own.matrix):
                blocks = [torch.as_tensor(rho(g)).to(x) for rho in self.type.representations]
                return torch.einsum("ij,njhw->nihw", torch.block_diag(*blocks), move_pixels(own, x))
        raise GroupError(f"element={element!r} is not of {space}: test with a group inside it.")

    def __str__(self) -> str:
        return "escnn type"


@final
@dataclass(frozen=True)
class OnVectors(Action):
    """(a·x)[c] = ρ(a) x[c] for channels c, entry i of channel c at index c·ρ.dim + i."""

    rho: Representation

    def act(self, element: AnyElement, x: Tensor) -> Tensor:
        matrix = torch.as_tensor(self.rho(element)).to(x)
        split = x.unflatten(1, (-1, self.rho.dim))
        return torch.einsum("ij,ncj...->nci...", matrix, split).flatten(1, 2)

    def __str__(self) -> str:
        return str(self.rho)


def action_of(field: Any) -> Action:
    """The action on features of a Field, an escnn FieldType or an Action; None is invariant."""
    if field is None:
        return Invariant()
    if isinstance(field, Field):
        return OnGrid(field.group, field.rep)
    if isinstance(field, Vectors):
        return OnVectors(field.rho)
    if isinstance(field, Action):
        return field
    if hasattr(field, "gspace") and hasattr(field, "representations"):
        return Typed(field)
    raise SpecError(
        f"field={field!r} must be a relaxeq.Field, relaxeq.testing.Vectors, an escnn FieldType, or "
        "None for outputs that should not move."
    )


def within(group: PlanarGroup, element: PlanarElement) -> PlanarElement:
    """The element of `group` that moves the plane as `element` does."""
    if element.group == group:
        return element
    for index, matrix in enumerate(group.point_group.matrices):
        if np.allclose(matrix, element.matrix):
            return group.element(element.shift, index)
    raise GroupError(
        f"element={element!r} is of {element.group} and not in {group}, whose features it should "
        "move: test with a subgroup of the fields' group."
    )


def on_grid(element: AnyElement, x: Tensor) -> PlanarElement:
    """The element, if it maps the grid of x to itself; GroupError says why it does not."""
    if not isinstance(element, PlanarElement):
        raise GroupError(
            f"element={element!r} is of {element.group}, which does not act on grids: write a "
            "planar group such as groups.planar('p4'), or give the fields as testing.Vectors."
        )
    if x.ndim != 4 or not element.group.exact_on((x.shape[2], x.shape[3])):
        raise GroupError(
            f"element={element!r} of {element.group} does not map features of shape "
            f"{tuple(x.shape)} to themselves: write a square grid, or a smaller group."
        )
    return element
