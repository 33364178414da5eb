"""Convolution on a torus of pixels."""

from torch import Tensor
from torch.nn import functional


def torus_conv(x: Tensor, weight: Tensor, groups: int = 1) -> Tensor:
    """Circular "same" convolution with an odd square filter."""
    reach = weight.shape[-1] // 2
    padded = functional.pad(x, (reach,) * 4, mode="circular") if reach else x
    return functional.conv2d(padded, weight, groups=groups)
