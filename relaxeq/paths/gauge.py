"""The scale gauge of factored paths: (θ1·c, θ2/c) is the same map under another prior density."""

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
    scale = (norms[1] / norms[0]).sqrt()
    scale = torch.where((norms[0] > 0) & (norms[1] > 0) & scale.isfinite(), scale, 1.0)
    scale = torch.where(scale > 0, scale, 1.0)
    first.mul_(scale)
    second.div_(scale)
