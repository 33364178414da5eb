"""The scale gauge of paths in factors: (θ1·c, θ2/c) is the same map under another prior density."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class Gauged(Protocol):
    """A module whose parameters can be rescaled without changing what it computes."""

    def balance_(self) -> None:
        """Rescale in place to the smallest ‖θ‖², the highest prior density."""


@torch.no_grad()
def balance_pairs_(first: Tensor, second: Tensor) -> None:
    """Equal norms of first[c',c] and second[c',c], each pair's product kept.

    ‖θ1·c‖² + ‖θ2/c‖² is least where both are ‖θ1‖·‖θ2‖. Pairs with a factor 0 stay: their map is 0,
    and two zeros would never learn again. Frozen factors stay as well.
    """
    if not (first.requires_grad and second.requires_grad):
        return
    norms = [factor.flatten(2).norm(dim=2, keepdim=True) for factor in (first, second)]
    scale = _scale(*norms)
    first.mul_(scale)
    second.div_(scale)


@torch.no_grad()
def balance_channels_(writing: Sequence[Tensor], reading: Tensor) -> None:
    """Equal norms of all that writes a channel and of what reads it, (channel, …) each.

    (w·s, b·s, r/s) is the same map for any s per channel, and its norm least where ‖w‖² + ‖b‖² =
    ‖r‖². A channel that nothing writes, or nothing reads, stays.
    """
    norms = [
        torch.cat([tensor.flatten(1) for tensor in side], 1).norm(dim=1)
        for side in (writing, [reading])
    ]
    scale = _scale(*norms)
    for tensor in writing:
        tensor.mul_(_along(scale, tensor))
    reading.div_(_along(scale, reading))


def _scale(first: Tensor, second: Tensor) -> Tensor:
    """The c that makes two norms equal, first·c and second/c; 1 where there is none."""
    scale = (second / first).sqrt()
    usable = scale.isfinite() & (scale > 0)
    return torch.where(usable, scale, 1.0)


def _along(scale: Tensor, tensor: Tensor) -> Tensor:
    return scale.view(-1, *[1] * (tensor.ndim - 1))
