"""Fields: what a feature tensor is, and how its group acts on it."""

from dataclasses import dataclass, replace
from typing import final

import numpy as np
import torch
from torch import Tensor

from relaxeq.arguments import is_count
from relaxeq.errors import GroupError, SpecError
from relaxeq.fields.action import move_pixels
from relaxeq.fields.features import check_features, drawn_features
from relaxeq.groups import PlanarElement, PlanarGroup

REPRESENTATIONS = ("regular", "trivial")


@final
@dataclass(frozen=True)
class Field:
    """Features on an H×W torus: `channels` copies of a representation of the point group.

    A tensor of the field has shape (batch, channels·k, H, W), k = |H| for `rep="regular"` and 1 for
    `rep="trivial"`; channel c in orientation k sits at index c·|H| + k (the order of escnn). All
    orientations live in one common spatial frame: (a·x)[c, h k, p] = x[c, k, a⁻¹ p] for a = (s, h).
    """

    group: PlanarGroup
    channels: int
    size: tuple[int, int]
    rep: str = "regular"

    def __post_init__(self) -> None:
        if not isinstance(self.group, PlanarGroup):
            raise GroupError(
                f"group={self.group!r} of a field is not a planar group: write "
                "groups.semidirect(groups.Z2(), groups.p4()) or groups.Z2()."
            )
        if self.rep not in REPRESENTATIONS:
            raise SpecError(f"rep={self.rep!r} of a field is not one of {REPRESENTATIONS}.")
        if not is_count(self.channels):
            raise SpecError(f"channels={self.channels!r} of a field must be a positive integer.")
        object.__setattr__(self, "channels", int(self.channels))
        object.__setattr__(self, "size", _grid(self.size))
        if self.group.exact and not self.group.exact_on(self.size):
            raise GroupError(
                f"size={self.size} of a field is not square, and {self.group} turns rows into "
                "columns: write a square size, or a group of flips and half turns."
            )

    @property
    def orientations(self) -> int:
        """|H| for regular fields, 1 for trivial ones."""
        return self.group.point_group.order if self.rep == "regular" else 1

    @property
    def depth(self) -> int:
        """Channels of the tensor: channels · orientations."""
        return self.channels * self.orientations

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one datum: (depth, H, W)."""
        return (self.depth, *self.size)

    @property
    def dim(self) -> int:
        """Entries of one datum."""
        return self.depth * self.size[0] * self.size[1]

    def resized(self, size: tuple[int, int]) -> "Field":
        """The same field on another grid."""
        return replace(self, size=size)

    def random(
        self,
        batch: int,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """Standard normal features of shape (batch, *shape)."""
        return drawn_features(batch, self.shape, generator, dtype)

    def act(self, element: PlanarElement, x: Tensor) -> Tensor:
        """a·x, the exact action on (batch, *shape): pixels move, orientations permute."""
        if not isinstance(element, PlanarElement) or element.group != self.group:
            raise GroupError(
                f"element={element!r} is not of this field's group {self.group}: write "
                "field.group.element(shift=(dy, dx), point=...)."
            )
        if not self.group.exact:
            raise GroupError(
                f"{self.group} does not map the grid to itself: it has no exact action on pixels. "
                "Act with a subgroup that does, in a field of groups.planar('p2') say."
            )
        self.check(x)
        moved = move_pixels(element, x)
        if self.orientations == 1:
            return moved
        h = self.group.point_group
        back = torch.as_tensor(np.array(h.mul[h.inv[element.point.index]]), device=x.device)
        split: Tensor = moved.unflatten(1, (self.channels, -1))
        return split[:, :, back].flatten(1, 2)

    def check(self, x: Tensor, name: str = "x") -> None:
        """Raise ShapeError unless x is a floating tensor of shape (batch, *shape)."""
        check_features(x, self.shape, self, name)

    def __str__(self) -> str:
        height, width = self.size
        return f"{self.channels}×{self.rep} on {height}×{width} ({self.group})"


def _grid(size: object) -> tuple[int, int]:
    valid = isinstance(size, tuple | list) and len(size) == 2 and all(is_count(n) for n in size)
    if not valid:
        raise SpecError(f"size={size!r} must be two positive integers, such as (32, 32).")
    return tuple(map(int, size))  # type: ignore[call-overload]
