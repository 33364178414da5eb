"""Linear maps per block whose results lie in memory as the next product reads them."""

from typing import Any, final

import torch
from torch import Tensor

from relaxeq.sites import in_order, is_traced, wanted

NARROW = 16
"""Features up to which data lie side by side: products with so few columns are slow."""


def blockwise(x: Tensor, weight: Tensor, data_last: bool = False) -> Tensor:
    """z[n, b, o] = Σ_i x[n, b, i] weight[b, i, o].

    In memory z is (b, n, o), or (b, o, n) with `data_last`, or where o is narrow and x has data
    last; the gradient of x has the order of x. So a chain of maps between axes (block, feature) and
    (feature, block) needs no copies, which take longer than products with few blocks' worth of
    features.
    """
    if is_traced() or is_autocast(x.device.type):
        return torch.einsum("nbi,bio->nbo", x, weight)
    z: Tensor = _Blockwise.apply(x, weight, data_last)
    return z


@final
class _Blockwise(torch.autograd.Function):
    """The product, and its two derivatives as products of the same kind."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weight: Tensor, data_last: bool) -> Tensor:
        x = readable(x)
        if data_last or (weight.shape[2] <= NARROW and _has_data_last(x)):
            return torch.bmm(weight.mT, x.permute(1, 2, 0)).permute(2, 0, 1)
        return torch.bmm(x.transpose(0, 1), weight).transpose(0, 1)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, bool], output: Tensor) -> None:
        x, weight, ctx.data_last = inputs
        ctx.wanted = wanted()
        ctx.save_for_backward(x, weight)
        ctx.save_for_forward(x, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        gradient = readable(gradient)
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = _Blockwise.apply(gradient, weight.mT, _has_data_last(x))
        if ctx.needs_input_grad[1] and ctx.wanted.weights:
            of_weight = _outer(readable(x), gradient, weight.stride(1) == 1)
        return of_x, of_weight, None

    @staticmethod
    def jvp(ctx: Any, of_x: Tensor | None, of_weight: Tensor | None, _: None) -> Tensor:
        x, weight = ctx.saved_tensors
        terms = [] if of_x is None else [_Blockwise.apply(of_x, weight, ctx.data_last)]
        terms += [] if of_weight is None else [_Blockwise.apply(x, of_weight, ctx.data_last)]
        tangent: Tensor = sum(terms[1:], terms[0])
        return tangent


def _outer(x: Tensor, z: Tensor, inputs_last: bool) -> Tensor:
    """Σ_n x[n, b, i] z[n, b, o] as (b, i, o), in memory (b, o, i) with `inputs_last`."""
    if inputs_last:
        return torch.bmm(z.permute(1, 2, 0), x.transpose(0, 1)).mT
    return torch.bmm(x.permute(1, 2, 0), z.transpose(0, 1))


def is_autocast(device: str) -> bool:
    """Whether products on this kind of device are computed in another dtype than their factors."""
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def _has_data_last(x: Tensor) -> bool:
    return x.stride(0) == 1 != x.stride(2)


def readable(x: Tensor) -> Tensor:
    """x with data or features side by side: other orders are multiplied block after block.

    Memory is not asked about while torch writes a graph.
    """
    if is_traced() or x.stride(0) == 1 or (x.stride(2) == 1 < x.shape[2]):
        return x
    return in_order(x, (1, 2, 0) if x.shape[2] <= NARROW else (0, 1, 2))
