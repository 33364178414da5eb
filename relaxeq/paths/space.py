"""Spaces between which paths map: fields on a grid, and vectors of a representation."""

from dataclasses import dataclass
from typing import Any, Protocol, final, runtime_checkable

import torch
from torch import Tensor

from relaxeq.arguments import is_count
from relaxeq.errors import GroupError, SpecError
from relaxeq.fields.features import check_features, drawn_features
from relaxeq.groups import Representation


@runtime_checkable
class Space(Protocol):
    """Channels of something: what a path without symmetry has to know of its source and target."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def depth(self) -> int: ...
    @property
    def dim(self) -> int: ...


@final
@dataclass(frozen=True)
class Vectors:
    """`channels` copies of a representation ρ; a tensor has shape (batch, channels·ρ.dim).

    Entry i of channel c sits at index c·ρ.dim + i, as in escnn's field types and as regular fields
    order their orientations. A group element acts as (g·x)[c] = ρ(g) x[c].
    """

    rho: Representation
    channels: int

    def __post_init__(self) -> None:
        if not isinstance(self.rho, Representation):
            raise GroupError(
                f"rho={self.rho!r} is no representation: write group.regular, or a sum such as "
                "group.regular + 2 * group.trivial."
            )
        if not is_count(self.channels):
            raise SpecError(f"channels={self.channels!r} must be a positive integer.")
        object.__setattr__(self, "channels", int(self.channels))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one datum: (channels·ρ.dim,)."""
        return (self.dim,)

    @property
    def depth(self) -> int:
        """The number of channels."""
        return self.channels

    @property
    def dim(self) -> int:
        """Entries of one datum."""
        return self.channels * self.rho.dim

    def random(
        self,
        batch: int,
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """Standard normal vectors of shape (batch, channels·ρ.dim)."""
        return drawn_features(batch, self.shape, generator, dtype)

    def act(self, element: Any, x: Tensor) -> Tensor:
        """g·x, with ρ(g) on every channel."""
        self.check(x)
        split: Tensor = x.unflatten(1, (self.channels, -1))
        return (split @ torch.from_numpy(self.rho(element)).to(x).mT).flatten(1)

    def check(self, x: Tensor, name: str = "x") -> None:
        """Raise ShapeError unless x is a floating tensor of shape (batch, channels·ρ.dim)."""
        check_features(x, self.shape, self, name)

    def __str__(self) -> str:
        return f"{self.channels}×({self.rho}) of {self.rho.group}"
