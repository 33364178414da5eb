"""Circular padding in few copies, in either direction and any memory format."""

from collections.abc import Callable, Sequence
from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from relaxeq.sites.memory import has_channels_last
from relaxeq.sites.tracing import is_traced

Spans = tuple[tuple[int, int, int], ...]
Line = tuple[int, int, int]  # axis, start, length


def circular_pad(x: Tensor, pad: Sequence[int]) -> Tensor:
    """`functional.pad(x, pad, mode="circular")`, last axis first, in the memory format of x.

    Padding that wraps more than once, or crops, is left to torch, which refuses the first.
    """
    axes = [x.ndim - 1 - i for i in range(len(pad) // 2)]
    sides = [(x.shape[axis], *pad[2 * i : 2 * i + 2]) for i, axis in enumerate(axes)]
    simple = all(0 <= side <= size for size, *both in sides for side in both)
    if (
        not simple or is_traced()
    ):  # a compiler fuses torch's copies by itself, a trace takes no others
        return functional.pad(x, tuple(pad), mode="circular")
    if not any(pad):
        return x
    padded: Tensor = _Pad.apply(x, tuple(reversed(sides)))
    return padded


@final
class FastCircularPad(TorchFunctionMode):
    """While open, `functional.pad` with mode="circular" is `circular_pad`.

    torch's own copies the whole gradient once for every border, and forgets channels-last: for a
    network of circular nn.Conv2d it takes half of the time of an exact curvature.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
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
class _Pad(torch.autograd.Function):
    """The grid in the middle, then the borders of one axis after the other, from what is there."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, spans: Spans) -> Tensor:
        padded = _like(x, [before + size + after for size, before, after in spans])
        _inside(padded, spans).copy_(x)
        for axis in reversed(range(len(spans))):
            lines = _inside(padded, spans, until=axis)
            for border, inside in _borders(spans, axis):
                lines.narrow(*border).copy_(lines.narrow(*inside))
        return padded

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Spans], output: Tensor) -> None:
        ctx.spans = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Fold.apply(gradient, ctx.spans), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        padded: Tensor = _Pad.apply(tangent, ctx.spans)
        return padded


@final
class _Fold(torch.autograd.Function):
    """The transpose of circular padding: the same steps backwards, borders added to their pixels.

    The result is a part of a larger tensor: whole lines are cheaper to add than their pixels.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(padded: Tensor, spans: Spans) -> Tensor:
        *_, (size, before, after) = spans
        centre = padded.narrow(-1, before, size)
        folded = _like(padded, list(centre.shape[-len(spans) :])).copy_(centre)
        folded.narrow(-1, size - before, before).add_(padded.narrow(-1, 0, before))
        folded.narrow(-1, 0, after).add_(padded.narrow(-1, before + size, after))
        for axis in range(len(spans) - 1):
            for border, inside in _borders(spans, axis):
                folded.narrow(*inside).add_(folded.narrow(*border))
            size, before, _ = spans[axis]
            folded = folded.narrow(axis - len(spans), before, size)
        return folded

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Spans], output: Tensor) -> None:
        ctx.spans = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Pad.apply(gradient, ctx.spans), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        folded: Tensor = _Fold.apply(tangent, ctx.spans)
        return folded


def _borders(spans: Spans, axis: int) -> tuple[tuple[Line, Line], tuple[Line, Line]]:
    """The borders of an axis of the padded grid, each with the lines inside that it repeats."""
    size, before, after = spans[axis]
    along = axis - len(spans)
    return (
        ((along, 0, before), (along, size, before)),
        ((along, before + size, after), (along, before, after)),
    )


def _inside(padded: Tensor, spans: Spans, until: int | None = None) -> Tensor:
    """The padded grid without the borders of its axes, or of those before `until`."""
    for axis, (size, before, _) in enumerate(spans[:until]):
        padded = padded.narrow(axis - len(spans), before, size)
    return padded


def _like(x: Tensor, grid: list[int]) -> Tensor:
    """An empty tensor with another grid on its last axes, and the memory format of x."""
    shape = [*x.shape[: -len(grid)], *grid]
    if len(grid) == 2 and has_channels_last(x):
        batch, channels, height, width = shape
        return x.new_empty(batch, height, width, channels).permute(0, 3, 1, 2)
    return x.new_empty(shape)
