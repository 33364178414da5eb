"""Polyphase subsampling: halving a grid without losing equivariance (App. F.2)."""

import torch
from torch import Tensor

from relaxeq.errors import ShapeError
from relaxeq.shapes import Image
from relaxeq.sites import has_channels_last


def polyphase(x: Image) -> Tensor:
    """Keep, per datum, the one of four phases x[..., i::2, j::2] with the largest |value|.

    The maximum is the l∞ norm over all channels and pixels, so a whole layer shares one phase. For
    a shift d of the input the output shifts by ⌊d/2⌋ or ⌈d/2⌉ per axis, whichever the chosen phase
    says; quarter turns and flips carry over exactly. Equal maxima (the one place where a choice can
    break strictness) go to the first phase in row-major order.
    """
    _check(x)
    height, width = x.shape[2] // 2, x.shape[3] // 2
    peaks = x.detach().abs().amax(1)  # channels first: the long axis, in the order of memory
    norms = peaks.view(-1, height, 2, width, 2).amax((1, 3)).flatten(1)
    chosen = norms.argmax(1)[:, None]
    rows = 2 * torch.arange(height, device=x.device) + chosen // 2
    columns = 2 * torch.arange(width, device=x.device) + chosen % 2
    places = (rows[:, :, None] * x.shape[3] + columns[:, None]).flatten(1)
    return _pixels(x, places).view(*x.shape[:2], height, width)


def _check(x: object) -> None:
    if not isinstance(x, Tensor) or x.ndim != 4:
        given = tuple(x.shape) if isinstance(x, Tensor) else repr(x)
        raise ShapeError(f"x must have shape (batch, channels, H, W), got {given}.")
    if x.shape[2] % 2 or x.shape[3] % 2:
        raise ShapeError(
            f"x has the odd grid {tuple(x.shape[2:])}, which no phase halves: pad to an even size."
        )


def _pixels(x: Image, places: Tensor) -> Tensor:
    """x at these places of each datum, (batch, channel, place), in the memory order of x."""
    flat = x.flatten(2)
    if has_channels_last(x):
        return flat.mT.gather(1, places[:, :, None].expand(-1, -1, x.shape[1])).mT
    return flat.gather(2, places[:, None].expand(-1, x.shape[1], -1))
