"""Convolution on a torus of pixels."""

from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional


def torus_conv(x: Tensor, weight: Tensor, groups: int = 1) -> Tensor:
    """Circular "same" convolution with an odd square filter."""
    return functional.conv2d(torus_pad(x, weight.shape[-1] // 2), weight, groups=groups)


def torus_pad(x: Tensor, reach: int) -> Tensor:
    """x continued periodically by `reach` ≤ H, W pixels on all sides."""
    if reach == 0:
        return x
    if torch.compiler.is_compiling():  # a compiler fuses these copies by itself
        return functional.pad(x, (reach,) * 4, mode="circular")
    padded: Tensor = _Pad.apply(x, reach)
    return padded


@final
class _Pad(torch.autograd.Function):
    """Circular padding; torch's own copies the whole gradient once for every side."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, reach: int) -> Tensor:
        height, width = x.shape[-2:]
        padded = x.new_empty(*x.shape[:-2], height + 2 * reach, width + 2 * reach)
        middle = padded[..., reach : reach + height, :]
        middle[..., reach : reach + width] = x
        middle[..., :reach] = x[..., width - reach :]
        middle[..., reach + width :] = x[..., :reach]
        padded[..., :reach, :] = padded[..., height : height + reach, :]
        padded[..., reach + height :, :] = padded[..., reach : 2 * reach, :]
        return padded

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:
        ctx.reach = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Fold.apply(gradient, ctx.reach), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        padded: Tensor = _Pad.apply(tangent, ctx.reach)
        return padded


@final
class _Fold(torch.autograd.Function):
    """The transpose of circular padding: each pixel sums over its copies."""

    generate_vmap_rule = True

    @staticmethod
    def forward(padded: Tensor, reach: int) -> Tensor:
        height, width = (n - 2 * reach for n in padded.shape[-2:])
        middle = padded[..., reach : reach + height, :].clone()
        middle[..., height - reach :, :] += padded[..., :reach, :]
        middle[..., :reach, :] += padded[..., reach + height :, :]
        x = middle[..., reach : reach + width].clone()
        x[..., width - reach :] += middle[..., :reach]
        x[..., :reach] += middle[..., reach + width :]
        return x

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:
        ctx.reach = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Pad.apply(gradient, ctx.reach), None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _: None) -> Tensor:
        folded: Tensor = _Fold.apply(tangent, ctx.reach)
        return folded
