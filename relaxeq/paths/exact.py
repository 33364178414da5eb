"""Constants that keep float64 accuracy whatever dtype a module is moved to and back."""

from collections.abc import Callable
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


@final
class Exact(nn.Module):
    """A float64 array as a buffer in the dtype and on the device of the parameters around it.

    A plain buffer made in float32 would stay that coarse after `.double()`.
    """

    tensor: Tensor

    def __init__(self, array: NDArray[np.float64]) -> None:
        super().__init__()
        self.array = array
        ready = torch.tensor(array, dtype=torch.get_default_dtype())
        self.register_buffer("tensor", ready, persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.tensor = torch.tensor(self.array, dtype=self.tensor.dtype, device=self.tensor.device)
        return self
