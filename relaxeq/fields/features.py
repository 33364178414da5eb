"""What a tensor of features must be, on a grid or without one."""

from torch import Tensor

from relaxeq.errors import ShapeError


def check_features(x: object, shape: tuple[int, ...], field: object, name: str = "x") -> None:
    """Raise ShapeError unless x is a floating tensor of shape (batch, *shape), as `field` has."""
    if not isinstance(x, Tensor) or tuple(x.shape[1:]) != shape:
        given = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        wanted = ", ".join(map(str, shape))
        raise ShapeError(f"{name} must have shape (batch, {wanted}) for {field}, got {given}.")
    if not x.is_floating_point():
        raise ShapeError(f"{name} must be a floating tensor, got {x.dtype}: write x.float().")
