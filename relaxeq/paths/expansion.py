"""Weights expanded from parameters, kept in evaluation mode while the parameters stay the same."""

from collections.abc import Callable, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn

from relaxeq.sites import is_traced


@final
class Expansion:
    """The last value of a function of parameters, reused while these hold the same numbers.

    The numbers themselves are compared: fused optimisers and writes through `parameter.data` leave
    no other trace. Reading them costs a fraction of the expansion on the CPU; elsewhere it would
    hold up the device, and nothing is kept. Copies and pickles start empty.
    """

    def __init__(self) -> None:
        self._kept: tuple[list[_Numbers], Tensor] | None = None

    def __call__(
        self, module: nn.Module, parameters: Sequence[Tensor], expand: Callable[[], Tensor]
    ) -> Tensor:
        """`expand()`, or its last value where that must be the same and needs no gradient."""
        if is_traced():
            return expand()
        if module.training:
            self._kept = None
        if module.training or not _keepable(parameters):
            return expand()
        if self._kept is not None and len(self._kept[0]) == len(parameters):
            pairs = zip(self._kept[0], parameters, strict=True)
            if all(numbers.are_of(parameter) for numbers, parameter in pairs):
                return self._kept[1]
        with torch.inference_mode(False), torch.no_grad():
            value = expand()
            if not any(_share_memory(value, p) for p in parameters):
                self._kept = list(map(_Numbers, parameters)), value
        return value

    def __deepcopy__(self, memo: dict[int, Any]) -> "Expansion":
        return Expansion()

    def __reduce__(self) -> tuple[Any, ...]:
        return (Expansion, ())


@final
class _Numbers:
    """What a parameter held."""

    def __init__(self, parameter: Tensor) -> None:
        self.parameter = parameter
        self.copy = parameter.detach().clone()

    def are_of(self, parameter: Tensor) -> bool:
        return (
            parameter is self.parameter
            and parameter.dtype == self.copy.dtype
            and torch.equal(parameter, self.copy)
        )


def _keepable(parameters: Sequence[Tensor]) -> bool:
    """Whether numbers can be compared cheaply, and a value without a graph will do.

    Transforms put other tensors in the place of parameters, autocast makes values of other types.
    """
    return not torch.is_autocast_enabled("cpu") and all(
        isinstance(p, nn.Parameter)
        and p.device.type == "cpu"
        and not (p.requires_grad and torch.is_grad_enabled())
        for p in parameters
    )


def _share_memory(value: Tensor, parameter: Tensor) -> bool:
    """Whether the value is a view, which costs nothing to make."""
    return value.untyped_storage().data_ptr() == parameter.untyped_storage().data_ptr()
