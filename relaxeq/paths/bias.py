"""The bias: one value per channel, equal at all positions and orientations."""

from typing import final

import torch
from torch import Tensor, nn

from relaxeq.fields import Field
from relaxeq.paths.base import GaussianModule
from relaxeq.sites import Site, bias_site, tap


@final
class Bias(GaussianModule):
    """x ↦ x + b, b of shape (C',), constant over positions and orientations: it breaks no symmetry.

    Its prior is its own; with σ² = 0 it is off. Its curvature block is exact: gradients are summed
    over positions before the outer product.
    """

    def __init__(self, target: Field) -> None:
        super().__init__("bias")
        self.orientations = target.orientations
        self.value = nn.Parameter(torch.zeros(target.channels))

    def forward(self, x: Tensor) -> Tensor:
        if self.off:
            return x
        y = x + self.value.repeat_interleave(self.orientations)[:, None, None]
        return tap(self, "value", x, y)

    def sites(self) -> dict[str, Site]:
        pattern = "n (c k) h w -> n 1 1 c"
        return {"value": bias_site(len(self.value), pattern, k=self.orientations)}
