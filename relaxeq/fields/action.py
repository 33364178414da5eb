"""The action of planar group elements on grids of pixels: exact rolls, transposes and flips."""

import torch
from torch import Tensor

from relaxeq.groups import PlanarElement


def move_pixels(element: PlanarElement, x: Tensor) -> Tensor:
    """(a·x)[p] = x[a⁻¹ p] on the last two axes: turn about the centre, then shift."""
    matrix = element.matrix
    if matrix[0, 0] == 0:
        x = x.transpose(-2, -1)
        signs = (matrix[0, 1], matrix[1, 0])
    else:
        signs = (matrix[0, 0], matrix[1, 1])
    flipped = [axis for axis, sign in zip((-2, -1), signs, strict=True) if sign < 0]
    turned = x.flip(flipped) if flipped else x
    dy, dx = element.shift
    return torch.roll(turned, (int(dy), int(dx)), dims=(-2, -1))
