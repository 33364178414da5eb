"""Circular padding whose backward pass only adds the borders back."""

from collections.abc import Iterator, Sequence
from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


def circular_pad(x: Tensor, pad: Sequence[int]) -> Tensor:
    """`functional.pad(x, pad, mode="circular")`, in the memory format of x."""
    padded: Tensor = _CircularPad.apply(x, tuple(pad))
    return padded


@final
class FastCircularPad(TorchFunctionMode):
    """While open, `functional.pad` with mode="circular" is `circular_pad`.

    torch's own copies the whole gradient once for every border, and forgets channels-last.
    """

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if func is functional.pad:
            values = dict(zip(("input", "pad", "mode", "value"), args, strict=False)) | named
            if values.get("mode") == "circular":
                return circular_pad(values["input"], values["pad"])
        return func(*args, **named)


@final
class _CircularPad(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, pad: tuple[int, ...]) -> Tensor:
        ctx.pad, ctx.sizes = pad, x.shape
        spans = list(_spans(pad, x.shape))
        shape = list(x.shape)
        for axis, size, before, after in spans:
            shape[axis] = before + size + after
        padded = x.new_empty(shape).to(memory_format=_format_of(x))
        centre = padded
        for axis, size, before, _ in spans:
            centre = centre.narrow(axis, before, size)
        centre.copy_(x)
        for axis, size, before, after in spans:
            padded.narrow(axis, 0, before).copy_(padded.narrow(axis, size, before))
            padded.narrow(axis, before + size, after).copy_(padded.narrow(axis, before, after))
        return padded

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        for axis, size, before, after in _spans(ctx.pad, ctx.sizes):
            centre = gradient.narrow(axis, before, size).clone(memory_format=torch.preserve_format)
            centre.narrow(axis, size - before, before).add_(gradient.narrow(axis, 0, before))
            centre.narrow(axis, 0, after).add_(gradient.narrow(axis, before + size, after))
            gradient = centre
        return gradient, None


def _spans(pad: Sequence[int], shape: Sequence[int]) -> Iterator[tuple[int, int, int, int]]:
    """Axis, size, padding before and after of every padded axis, the last axis first."""
    for i in range(0, len(pad), 2):
        axis = len(shape) - 1 - i // 2
        if pad[i] or pad[i + 1]:
            yield axis, shape[axis], pad[i], pad[i + 1]


def _format_of(x: Tensor) -> torch.memory_format:
    last = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format
