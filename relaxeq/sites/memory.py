"""The order of axes in memory."""

from typing import Any, final

import torch
from torch import Tensor

from relaxeq.sites.tracing import is_traced

Order = tuple[int, ...]


def channels_last(x: Tensor) -> Tensor:
    """Images with channels last in memory, where a CPU convolves few channels faster.

    Other tensors, and images on other devices, stay as they are, and so do those that transforms of
    torch.func have wrapped: vmap knows no orders of memory.
    """
    if x.ndim != 4 or x.device.type != "cpu" or _is_wrapped(x):
        return x
    return x.contiguous(memory_format=torch.channels_last)


def _is_wrapped(x: Tensor) -> bool:
    return not is_traced() and bool(torch._C._functorch.is_functorch_wrapped_tensor(x))


def has_channels_last(x: Tensor) -> bool:
    """Whether the channels of an image lie side by side; not asked while torch writes a graph."""
    return x.ndim == 4 and not is_traced() and x.stride(1) == 1 != x.stride(3)


def in_order(x: Tensor, order: Order) -> Tensor:
    """x with its axes in this order in memory, and the gradient of x in that of x.

    Sums and products of tensors in unlike orders take several times as long as a copy. Nothing is
    copied where x is in order already, or while torch writes a graph.
    """
    if is_traced() or x.permute(order).is_contiguous():
        return x
    arranged: Tensor = _InOrder.apply(x, order)
    return arranged


@final
class _InOrder(torch.autograd.Function):
    """A copy, whose derivatives are copies."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, order: Order) -> Tensor:
        back = [order.index(axis) for axis in range(x.ndim)]
        return x.permute(order).contiguous().permute(back)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Order], output: Tensor) -> None:
        x, ctx.order = inputs
        ctx.own = tuple(sorted(range(x.ndim), key=x.stride, reverse=True))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return in_order(gradient, ctx.own), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        return in_order(tangent, ctx.order)
