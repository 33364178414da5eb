"""Convolution on a torus of pixels."""

from torch import Tensor
from torch.nn import functional

from relaxeq.sites import channels_last, circular_pad


def torus_conv(x: Tensor, weight: Tensor, groups: int = 1) -> Tensor:
    """Circular "same" convolution with an odd square filter."""
    return functional.conv2d(
        torus_pad(channels_last(x), weight.shape[-1] // 2), weight, groups=groups
    )


def torus_pad(x: Tensor, reach: int) -> Tensor:
    """x continued periodically by `reach` ≤ H, W pixels on all sides."""
    return circular_pad(x, (reach,) * 4)
