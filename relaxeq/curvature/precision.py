"""Mixed precision: a forward pass may round, sums over the data may not."""

from contextlib import AbstractContextManager

import torch
from torch import Tensor


def wide(tensor: Tensor) -> Tensor:
    """The tensor in float32 if it came in bfloat16 or float16; others as they are."""
    low = tensor.is_floating_point() and torch.finfo(tensor.dtype).bits < 32
    return tensor.float() if low else tensor


def no_autocast(tensor: Tensor) -> AbstractContextManager[None]:
    """A context in which products of the tensor keep its precision, also inside torch.autocast."""
    return torch.autocast(tensor.device.type, enabled=False)
