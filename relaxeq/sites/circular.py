"""Circular padding that copies every pixel once, in either direction and any memory format."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from relaxeq.sites.memory import has_channels_last
from relaxeq.sites.tracing import is_traced

Spans = tuple[tuple[int, int, int], ...]
Part = tuple[tuple[int, int, int], ...]


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
    """Each part of the padded grid is a copy of a part of the grid."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, spans: Spans) -> Tensor:
        padded = _like(x, [before + size + after for size, before, after in spans])
        for part in _parts(spans):
            _place(padded, part).copy_(_source(x, part))
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
    """The transpose of circular padding: each pixel sums over its copies."""

    generate_vmap_rule = True

    @staticmethod
    def forward(padded: Tensor, spans: Spans) -> Tensor:
        centre, *borders = _parts(spans)
        x = _like(padded, [size for size, _, _ in spans])
        x.copy_(_place(padded, centre))
        for part in borders:
            _source(x, part).add_(_place(padded, part))
        return x

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


def _parts(spans: Spans) -> Iterator[Part]:
    """Parts of the padded grid, by axis: start there, start in the grid, length; centre first."""
    axes = [
        [
            (before, 0, size),
            *([(0, size - before, before)] if before else []),
            *([(before + size, 0, after)] if after else []),
        ]
        for size, before, after in spans
    ]
    return product(*axes)


def _place(padded: Tensor, part: Part) -> Tensor:
    for axis, (start, _, length) in enumerate(part, start=-len(part)):
        padded = padded.narrow(axis, start, length)
    return padded


def _source(x: Tensor, part: Part) -> Tensor:
    for axis, (_, start, length) in enumerate(part, start=-len(part)):
        x = x.narrow(axis, start, length)
    return x


def _like(x: Tensor, grid: list[int]) -> Tensor:
    """An empty tensor with another grid on its last axes, and the memory format of x."""
    shape = [*x.shape[: -len(grid)], *grid]
    if len(grid) == 2 and has_channels_last(x):
        batch, channels, height, width = shape
        return x.new_empty(batch, height, width, channels).permute(0, 3, 1, 2)
    return x.new_empty(shape)
