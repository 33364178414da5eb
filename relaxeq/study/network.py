"""Networks as values: what is built for the data of a task."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

from torch import nn

from relaxeq.data import Sets
from relaxeq.groups import planar
from relaxeq.models import PaperNet
from relaxeq.paths import parse_spec
from relaxeq.testing.loading import load_network

WORK = {"F-FC": 1.0, "S-FC": 1.5, "CONV": 3.0, "S-CONV": 3.5, "GCONV": 3.0}
"""Of paths, in about the time of F-FC; sums share a forward pass of the rest."""


class Network(ABC):
    """How to build a network; its weights are drawn from torch's generator."""

    @abstractmethod
    def build(self, sets: Sets) -> nn.Module:
        """A network for these data."""

    @property
    @abstractmethod
    def cost(self) -> float:
        """About how long a datum takes; only ratios matter."""


@final
@dataclass(frozen=True)
class FromFile(Network):
    """The network that "module.py:Net" names: a module, or what makes one without arguments."""

    target: str

    def build(self, sets: Sets) -> nn.Module:
        return load_network(self.target)

    @property
    def cost(self) -> float:
        return 1.0


@final
@dataclass(frozen=True)
class Paper(Network):
    """PaperNet (Table 6) of a spec and a width α; `group` is a name such as "p4"."""

    spec: str
    alpha: int
    group: str = "Z2"
    filters: str = "pointwise"
    prior: str = "anchors"

    def build(self, sets: Sets) -> PaperNet:
        return PaperNet(
            self.spec,
            sets.channels,
            sets.outputs,
            self.alpha,
            sets.size,
            planar(self.group),
            self.filters,
            self.prior,
        )

    @property
    def cost(self) -> float:
        paths = sum(WORK.get(label.partition("[")[0], 4.0) for label in parse_spec(self.spec))
        return (1 + self.alpha * planar(self.group).point_group.order / 4) * paths
