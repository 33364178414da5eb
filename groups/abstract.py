"""What every group is to its representations: generators, and elements as words in them."""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxeq.errors import GroupError

Floats = NDArray[np.float64]
# Generator i is written i and its inverse −1 − i; a tuple c is exp(Σ c_i A_i) in the Lie algebra.
Factor = int | tuple[float, ...]


def check_kind(argument: str, given: object, kind: type, write: str) -> None:
    """Raise GroupError, naming the argument, unless it is of this kind."""
    if not isinstance(given, kind):
        raise GroupError(f"{argument}: {given!r} is no {kind.__name__}. {write}")


class Group(ABC):
    """A group given by generators: some elements, and for Lie groups a basis of their algebra."""

    name: str

    @property
    @abstractmethod
    def generator_count(self) -> int:
        """How many elements generate the group, its Lie algebra apart."""

    @property
    @abstractmethod
    def algebra_count(self) -> int:
        """How many directions generate the Lie algebra; 0 for finite groups."""

    @property
    @abstractmethod
    def directions(self) -> Floats:
        """c of shape (k, r): the k ≤ r sums Σ_i c_i A_i are an orthonormal basis of the algebra."""

    @property
    @abstractmethod
    def is_compact(self) -> bool:
        """Whether it is known to be compact: its representations are orthogonal in some basis."""

    @abstractmethod
    def factors(self, g: Any) -> tuple[Factor, ...]:
        """An element as a product of generators, or an error if it is not of this group."""

    @abstractmethod
    def _key(self) -> tuple[Any, ...]:
        """What equality and hash compare."""

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Group) and self._key() == other._key())

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return self.name
