"""Weights expanded from parameters, kept in evaluation mode while the parameters stay the same."""

from collections.abc import Callable, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn


@final
class Expansion:
    """The last value of a function of parameters, reused while they do not change.

    In-place changes are seen by the parameters' version counters, replaced tensors by their
    identity and memory. Writing through `parameter.data` escapes the counters: call `clear`, which
    layers do in every `train()` and `eval()`. Copies and pickles start empty.
    """

    def __init__(self) -> None:
        self._kept: tuple[tuple[_Stamp, ...], Tensor] | None = None

    def __call__(
        self, module: nn.Module, parameters: Sequence[Tensor], expand: Callable[[], Tensor]
    ) -> Tensor:
        """`expand()`, or its last value where that must be the same and needs no gradient."""
        if module.training or torch.compiler.is_compiling() or not _keepable(parameters):
            return expand()
        if self._kept is not None and len(self._kept[0]) == len(parameters):
            pairs = zip(self._kept[0], parameters, strict=True)
            if all(stamp.is_of(parameter) for stamp, parameter in pairs):
                return self._kept[1]
        with torch.inference_mode(False), torch.no_grad():
            value = expand()
        self._kept = tuple(map(_Stamp, parameters)), value
        return value

    def clear(self) -> None:
        """Forget the value."""
        self._kept = None

    def __deepcopy__(self, memo: dict[int, Any]) -> "Expansion":
        return Expansion()

    def __reduce__(self) -> tuple[Any, ...]:
        return (Expansion, ())


@final
class _Stamp:
    """What a parameter looked like; its memory is held, so that nothing else lies there."""

    def __init__(self, parameter: Tensor) -> None:
        self.parameter = parameter
        self.memory = parameter.detach()
        self.version = parameter._version

    def is_of(self, parameter: Tensor) -> bool:
        return (
            parameter is self.parameter
            and parameter._version == self.version
            and parameter.data_ptr() == self.memory.data_ptr()
            and parameter.dtype == self.memory.dtype
        )


def _keepable(parameters: Sequence[Tensor]) -> bool:
    """Whether versions tell of changes, and a value without a graph will do.

    Transforms put other tensors in the place of parameters, autocast makes values of other types.
    """
    if any(torch.is_autocast_enabled(kind) for kind in {p.device.type for p in parameters}):
        return False
    return all(
        isinstance(p, nn.Parameter)
        and not p.is_inference()
        and not p.is_meta
        and not (p.requires_grad and torch.is_grad_enabled())
        for p in parameters
    )
