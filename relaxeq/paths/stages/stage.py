"""The stage: one way in which a parameter meets a feature map, with its site."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from relaxeq.paths.stages.torus import torus_conv
from relaxeq.sites import Site


class Stage(nn.Module, ABC):
    """A map (x, θ) ↦ z, linear in each, that holds no parameter itself.

    Paths of one or several convolutions are made of stages. `shape` is that of θ (out rows, in
    columns) and `fan_in` the number of products in one entry of z.
    """

    shape: tuple[int, int]
    fan_in: float

    @abstractmethod
    def forward(self, x: Tensor, theta: Tensor) -> Tensor:
        """z of x under θ."""

    @abstractmethod
    def site(self) -> Site:
        """The Kronecker site of θ."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self.shape}"


class FilterStage(Stage, ABC):
    """A stage that is one circular convolution of the whole field."""

    is_dense: bool = False
    """Whether `forward` costs as much as the dense filter: layers add such filters up."""

    @abstractmethod
    def filter(self, theta: Tensor) -> Tensor:
        """The dense filter (C'·|H|, C·|H|, k, k)."""


class DenseStage(FilterStage, ABC):
    """A stage that convolves with its dense filter."""

    is_dense = True

    def forward(self, x: Tensor, theta: Tensor) -> Tensor:
        return torus_conv(x, self.filter(theta))
