"""Layouts: how a recorded tensor is read as [batch n, block b, shared s, feature]."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import final

import torch
from einops import EinopsError, rearrange, reduce
from torch import Tensor

from relaxeq.errors import SiteError
from relaxeq.shapes import Expanded, Gram
from relaxeq.sites.outer import add_upper_, gram_of


class Layout(ABC):
    """One side of a Kronecker site: reads a tensor as [batch, block, shared, feature]."""

    @abstractmethod
    def expand(self, tensor: Tensor) -> Expanded:
        """The tensor in canonical axes (batch, block, shared, feature)."""

    @abstractmethod
    def gram(self, tensor: Tensor) -> Gram:
        """Σ_{n,s} v vᵀ per block, v the feature vectors of `expand`: summed, not averaged."""

    @abstractmethod
    def shared(self, tensor: Tensor) -> int:
        """S, the number of positions of one datum that share the weight."""


def reading(layout: "Layout", entries: tuple[int, ...]) -> Hashable:
    """What a layout reads of a datum of this shape: equal only where all Grams are equal.

    Layouts that rename axes are compared by where they place each entry: patterns that differ (a
    weight's and a bias's) may do the same. Others are equal to themselves alone.
    """
    return _places(layout, entries) if isinstance(layout, Rearranged | Summed) else id(layout)


@lru_cache(maxsize=4096)
def _places(layout: "Layout", entries: tuple[int, ...]) -> Hashable:
    size = math.prod(entries)
    places = layout.expand(torch.arange(size, dtype=torch.float64).view(1, *entries))
    if places.numel() < size:  # sums
        return layout
    return tuple(places.shape[1:]), sha256(places.numpy().tobytes()).digest()


def add_gram_(total: Gram, layout: "Layout", tensor: Tensor) -> None:
    """Add a Gram to a running total, of which `mirror_` completes the lower half at the end.

    Where the Gram is a plain sum of outer products no second matrix is made.
    """
    if isinstance(layout, Rearranged | Summed):
        add_upper_(total, layout.expand(tensor))
    else:
        total += layout.gram(tensor)


@contextmanager
def _fitting(pattern: str, tensor: Tensor) -> Iterator[None]:
    try:
        yield
    except EinopsError as error:
        raise SiteError(
            f"layout {pattern!r} does not fit a recorded tensor of shape {tuple(tensor.shape)}: "
            f"{error}. Write the pattern for the module's own axes."
        ) from error


@final
@dataclass(frozen=True)
class Rearranged(Layout):
    """A layout that only renames axes, in the notation of einops: "n c ... -> n c 1 (...)"."""

    pattern: str
    sizes: tuple[tuple[str, int], ...] = ()

    def expand(self, tensor: Tensor) -> Expanded:
        with _fitting(self.pattern, tensor):
            return rearrange(tensor, self.pattern, **dict(self.sizes))

    def gram(self, tensor: Tensor) -> Gram:
        return gram_of(self.expand(tensor))

    def shared(self, tensor: Tensor) -> int:
        return self.expand(tensor[:1]).shape[2]


@final
@dataclass(frozen=True)
class Summed(Layout):
    """Features summed over positions: the output side of a bias, whose block is then exact."""

    pattern: str
    sizes: tuple[tuple[str, int], ...] = ()

    def expand(self, tensor: Tensor) -> Expanded:
        with _fitting(self.pattern, tensor):
            return reduce(tensor, self.pattern, "sum", **dict(self.sizes))

    def gram(self, tensor: Tensor) -> Gram:
        return gram_of(self.expand(tensor))

    def shared(self, tensor: Tensor) -> int:
        return 1


@final
@dataclass(frozen=True)
class Ones(Layout):
    """The constant input 1 that a bias multiplies."""

    def expand(self, tensor: Tensor) -> Expanded:
        return tensor.new_ones(len(tensor), 1, 1, 1)

    def gram(self, tensor: Tensor) -> Gram:
        return tensor.new_full((1, 1, 1), len(tensor))

    def shared(self, tensor: Tensor) -> int:
        return 1


@final
@dataclass(frozen=True)
class Explicit(Layout):
    """A layout given as a function from the tensor to (batch, block, shared, feature)."""

    function: Callable[[Tensor], Tensor] = field(compare=False)

    def expand(self, tensor: Tensor) -> Expanded:
        return self.function(tensor)

    def gram(self, tensor: Tensor) -> Gram:
        return gram_of(self.expand(tensor))

    def shared(self, tensor: Tensor) -> int:
        return self.expand(tensor[:1]).shape[2]


@final
@dataclass(frozen=True, eq=False)
class Projected(Layout):
    """The features of another layout under a matrix Φ (App. C.2): v ↦ Φ v, Gram ↦ Φ Gram Φᵀ.

    `matrix` has shape (new features, features); it is moved to the tensor's device and dtype. The
    Gram is that of Φ v: fewer features are multiplied than in Φ Gram Φᵀ.
    """

    layout: Layout
    matrix: Tensor

    def expand(self, tensor: Tensor) -> Expanded:
        return self.layout.expand(tensor) @ self.matrix.to(tensor).mT

    def gram(self, tensor: Tensor) -> Gram:
        return gram_of(self.expand(tensor))

    def shared(self, tensor: Tensor) -> int:
        return self.layout.shared(tensor)
