"""Polyphase subsampling: halving a grid without losing equivariance (App. F.2)."""

import torch
from torch import Tensor

from relaxeq.shapes import HalvedImage, Image


def polyphase(x: Image) -> HalvedImage:
    """Keep, per datum, the one of four phases x[..., i::2, j::2] with the largest |value|.

    The maximum is the l∞ norm over all channels and pixels, so a whole layer shares one phase. For
    a shift d of the input the output shifts by ⌊d/2⌋ or ⌈d/2⌉ per axis, whichever the chosen phase
    says; quarter turns and flips carry over exactly. Equal maxima (the one place where a choice can
    break strictness) go to the first phase in row-major order.
    """
    split: Tensor = x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))  # (n, c, row, i, col, j)
    norms = split.detach().abs().amax(dim=(1, 2, 4)).flatten(1)
    chosen = torch.nn.functional.one_hot(norms.argmax(1), 4).to(x.dtype)
    mask = chosen.view(-1, 1, 1, 2, 1, 2)
    return (split * mask).sum(dim=(3, 5))
