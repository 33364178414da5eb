"""Constants that stay what they were, whatever dtype and device a module is moved to and back."""

from collections.abc import Callable
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


@final
class Exact(nn.Module):
    """An array as a buffer on the device of the parameters around it, float64 in their dtype.

    A plain buffer made in float32 would stay that coarse after `.double()`, and one that is not
    saved would hold chance after `.to_empty(device=...)`.
    """

    tensor: Tensor

    def __init__(self, array: NDArray[np.float64] | NDArray[np.int64]) -> None:
        super().__init__()
        self.array = array
        dtype = torch.get_default_dtype() if array.dtype == np.float64 else None
        self.register_buffer("tensor", torch.tensor(array, dtype=dtype), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.tensor = torch.tensor(self.array, dtype=self.tensor.dtype, device=self.tensor.device)
        return self
