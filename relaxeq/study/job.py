"""A training to be run: which, where, how long."""

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar, final, runtime_checkable


@runtime_checkable
class Run(Hashable, Protocol):
    """What distinguishes a training from the others of its study; a frozen value."""

    @property
    def name(self) -> str:
        """Name of its folder."""


RunT = TypeVar("RunT", bound=Run)


@final
@dataclass(frozen=True)
class Job(Generic[RunT]):
    """One training, the folder that it leaves its files in, and its length.

    `cost` says about how long it takes; only ratios between jobs matter.
    """

    run: RunT
    folder: Path
    epochs: int
    cost: float
