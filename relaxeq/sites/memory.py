"""The order of images in memory."""

import torch
from torch import Tensor

from relaxeq.sites.tracing import is_traced


def channels_last(x: Tensor) -> Tensor:
    """Images with channels last in memory, where a CPU convolves few channels faster.

    Other tensors, and images on other devices, stay as they are.
    """
    if x.ndim != 4 or x.device.type != "cpu":
        return x
    return x.contiguous(memory_format=torch.channels_last)


def has_channels_last(x: Tensor) -> bool:
    """Whether the channels of an image lie side by side; not asked while torch writes a graph."""
    return x.ndim == 4 and not is_traced() and x.stride(1) == 1 != x.stride(3)
