"""What a tensor of features must be, on a grid or without one, and random ones."""

import torch
from torch import Tensor

from relaxeq.arguments import is_count
from relaxeq.errors import ShapeError, SpecError


def check_features(x: object, shape: tuple[int, ...], field: object, name: str = "x") -> None:
    """Raise ShapeError unless x is a floating tensor of shape (batch, *shape), as `field` has."""
    if not isinstance(x, Tensor) or tuple(x.shape[1:]) != shape:
        given = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        wanted = ", ".join(map(str, shape))
        raise ShapeError(f"{name} must have shape (batch, {wanted}) for {field}, got {given}.")
    if not x.is_floating_point():
        raise ShapeError(f"{name} must be a floating tensor, got {x.dtype}: write x.float().")


def drawn_features(
    batch: int,
    shape: tuple[int, ...],
    generator: torch.Generator | None,
    dtype: torch.dtype | None,
) -> Tensor:
    """Standard normal features of shape (batch, *shape)."""
    if not is_count(batch, least=0):
        raise SpecError(f"batch={batch!r} must be a number of data, such as 2.")
    check_generator(generator)
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise SpecError(f"dtype={dtype!r} must be a floating one, such as torch.float64.")
    return torch.randn(batch, *shape, generator=generator, dtype=dtype)


def check_generator(generator: object) -> None:
    """Raise SpecError unless this is a generator of torch, or None for torch's own."""
    if not (generator is None or isinstance(generator, torch.Generator)):
        raise SpecError(
            f"generator={generator!r} must be a torch.Generator: write "
            "torch.Generator().manual_seed(0)."
        )
