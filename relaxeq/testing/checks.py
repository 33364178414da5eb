"""What all checks share: one error, one comparison of numbers."""

import math

import torch
from torch import Tensor

from relaxeq.errors import RelaxeqError

TOLERANCE = 1e-9


class CheckError(RelaxeqError, AssertionError):
    """A group, a representation or a path breaks a law that it should keep."""


def check_close(what: str, found: Tensor, expected: Tensor, tolerance: float = TOLERANCE) -> None:
    """Raise CheckError unless max |found − expected| ≤ tolerance · max(|expected|, 1e-12)."""
    found, expected = found.detach(), expected.detach()
    if found.shape != expected.shape:
        raise CheckError(
            f"{what}: the shape is {tuple(found.shape)} and should be {tuple(expected.shape)}."
        )
    if not expected.numel():
        return
    size = float(expected.abs().max())
    error = float((found - expected).abs().nan_to_num(nan=math.inf).max())
    if error > tolerance * max(size, 1e-12):
        place = int((found - expected).abs().nan_to_num(nan=math.inf).argmax())
        index = tuple(int(i) for i in torch.unravel_index(torch.tensor(place), found.shape))
        raise CheckError(
            f"{what}: entry {index} is {float(found[index]):.6g} and should be "
            f"{float(expected[index]):.6g}; the largest difference is {error:.2e} of {size:.2e}."
        )
