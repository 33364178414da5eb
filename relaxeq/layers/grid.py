"""Layers from one field on a grid to another, which are modules of escnn too."""

from abc import ABC, abstractmethod
from typing import Any, Protocol, final, runtime_checkable

from torch import Tensor, nn

from relaxeq.errors import GroupError, SpecError
from relaxeq.fields import Field
from relaxeq.paths import escnn_bridge


@runtime_checkable
class Geometric(Protocol):
    """An escnn GeometricTensor: a tensor, and the field type that says how it transforms."""

    tensor: Tensor
    type: Any


@runtime_checkable
class FieldType(Protocol):
    """An escnn field type: representations of a group that acts on a space."""

    gspace: Any
    representations: Any


class GridLayer(nn.Module, ABC):
    """A map from tensors of `source` to tensors of `target`; a new one writes `transform` alone.

    It takes plain tensors, and escnn's GeometricTensors of the type `in_type`, which it returns
    with `out_type`. Made from field types, it passes for an escnn EquivariantModule.
    """

    def __init__(self, source: Field, target: Field) -> None:
        super().__init__()
        self.source, self.target = source, target

    @abstractmethod
    def transform(self, x: Tensor) -> Tensor:
        """x (batch, *source.shape), already checked ↦ (batch, *target.shape)."""

    def forward(self, x: Tensor | Geometric) -> Tensor | Geometric:
        if isinstance(x, Tensor) or not isinstance(x, Geometric):
            self.source.check(x)
            return self.transform(x)
        if x.type != self.in_type:
            raise GroupError(f"x is of field type {x.type}, but this layer takes {self.in_type}.")
        self.source.check(x.tensor, "x.tensor")
        wrapped: Geometric = escnn_bridge.load().nn.GeometricTensor(
            self.transform(x.tensor), self.out_type
        )
        return wrapped

    @property
    @final
    def in_type(self) -> Any:
        """The escnn field type of `source`."""
        return escnn_bridge.field_type(self.source)

    @property
    @final
    def out_type(self) -> Any:
        """The escnn field type of `target`."""
        return escnn_bridge.field_type(self.target)

    @final
    def evaluate_output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the output for an input of shape (batch, depth, H, W), as escnn asks."""
        return (input_shape[0], *self.target.shape)

    @final
    def export(self) -> nn.Module:
        """The layer in evaluation mode, as escnn asks: it takes plain tensors as it is."""
        return self.eval()


def as_field(name: str, given: Field | FieldType, size: tuple[int, int] | None) -> Field:
    """A Field, from a Field or from an escnn field type on a grid of this size."""
    if isinstance(given, Field):
        if size is not None and size != given.size:
            raise SpecError(
                f"size={size}, but {name} is a Field of size {given.size}: leave size out, or give "
                "escnn field types, which have no grid of their own."
            )
        return given
    if not isinstance(given, FieldType):
        raise SpecError(f"{name}={given!r} must be a relaxeq.Field, or an escnn FieldType.")
    if size is None:
        raise SpecError(f"{name} is an escnn field type, which has no grid: write size=(H, W) too.")
    # escnn's containers ask for its own base class.
    escnn_bridge.load().nn.EquivariantModule.register(GridLayer)
    return escnn_bridge.field_of(given, size)
