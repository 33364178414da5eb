"""Data whose symmetry is known, since they are made with it: a map of one group, and noise."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import final

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from relaxeq.data.draws import generator
from relaxeq.data.tasks import Sets, Task
from relaxeq.errors import DataError
from relaxeq.fields import Field
from relaxeq.groups import planar
from relaxeq.layers import RelaxedLayer

GROUP = "p4m"
PATHS = {"none": "FC", "Z2": "CONV", "p2": "GCONV[p2]", "p4": "GCONV[p4]", "p4m": "GCONV"}
"""The symmetry of a map on fields of Z2 ⋊ D4, and the path that makes it (Z2 ⋊ C2 is p2, …)."""


@final
@dataclass(frozen=True)
class SymmetricTask(Task):
    """y = W x + ε with W equivariant to one group, and to no larger one.

    x (n, 8, side, side) are standard normal features of one regular field of Z2 ⋊ D4 on a torus, W
    is drawn from the maps that commute with `symmetry` ("none", "Z2", "p2", "p4", "p4m") and scaled
    to E (W x)² = 1, and ε is standard normal. y (n, 8 side²) is flattened.
    """

    symmetry: str
    side: int = 6
    train: int = 1000
    test: int = 500
    source: str = field(default="made", init=False, repr=False)

    def __post_init__(self) -> None:
        if self.symmetry not in PATHS:
            raise DataError(f"symmetry={self.symmetry!r} must be one of {', '.join(PATHS)}")

    @property
    def field(self) -> Field:
        """The field of x, and of y before it is flattened."""
        return Field(planar(GROUP), 1, (self.side, self.side))

    def truth(self, seed: int = 0) -> RelaxedLayer:
        """The map W, as a layer without bias that has one path."""
        path = PATHS[self.symmetry]
        with torch.random.fork_rng():
            layer = RelaxedLayer(self.field, self.field, path, filters="full", bias=False)
        (theta,) = layer.parameters()
        with torch.no_grad():
            drawn = generator(seed, 5).standard_normal(tuple(theta.shape))
            theta.copy_(torch.from_numpy(drawn))
            gain = layer.matrix().square().sum() / self.field.dim
            theta.div_(gain.sqrt())
        return layer

    def load(self, seed: int = 0) -> Sets:
        return _made(self, seed)

    def describe(self) -> str:
        return (
            f"{self.train:,} to train and {self.test:,} to test on, y = W x + noise, W equivariant "
            f"to {self.symmetry}, on {self.field}"
        )


@lru_cache(maxsize=2)
def _made(task: SymmetricTask, seed: int) -> Sets:
    layer = task.truth(seed)
    sets = [
        _part(task, layer, count, part, seed) for part, count in ((6, task.train), (7, task.test))
    ]
    return Sets(sets[0], sets[1], task.field.dim, ())


@torch.no_grad()
def _part(
    task: SymmetricTask, layer: RelaxedLayer, count: int, purpose: int, seed: int
) -> TensorDataset:
    draws = generator(seed, purpose)
    x = torch.from_numpy(draws.standard_normal((count, *task.field.shape))).float()
    noise = torch.from_numpy(draws.standard_normal((count, task.field.dim))).float()
    y: Tensor = layer(x).flatten(1) + noise
    return TensorDataset(x, y)
