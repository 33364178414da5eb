"""F-FC: the factored fully-connected map (Eq. 5), as two products per channel."""

import math
from typing import final

import torch
from torch import Tensor, nn

from relaxeq.paths.base import Path, draw_normal
from relaxeq.paths.blockwise import blockwise, readable
from relaxeq.paths.gauge import balance_pairs_
from relaxeq.paths.space import Space
from relaxeq.sites import Rearranged, Site, tap


@final
class FactoredFC(Path):
    """y(c',p') = Σ_c θ1(c',c,p') x1(c',c),   x1(c',c) = Σ_p θ2(c',c,p) x(c,p).

    θ1 (C', C, X'Y') and θ2 (C', C, XY) share one prior. Channels count orientations too; between
    representations p and p' run over their coordinates (App. A). KFAC has a
    block per input channel for θ2, where all x1(·,c) see the same x(c,·), and a block per output
    channel for θ1: never the matrices (CXY)² or (C'C)² of App. C.1.
    """

    def __init__(self, source: Space, target: Space, label: str = "F-FC") -> None:
        super().__init__(label, source.shape, target.shape)
        channels = (target.depth, source.depth)
        self.theta1 = nn.Parameter(torch.empty(*channels, target.dim // target.depth))
        self.theta2 = nn.Parameter(torch.empty(*channels, source.dim // source.depth))
        self.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        x = readable(x.reshape(x.shape[0], *self.theta2.shape[1:]))  # once, for Grams as well
        x1 = blockwise(x, self.theta2.permute(1, 2, 0), data_last=True).mT
        x1 = tap(self, "theta2", x, x1)
        y = tap(self, "theta1", x1, blockwise(x1, self.theta1))
        return y.reshape(x.shape[0], *self.out_shape)

    def sites(self) -> dict[str, Site]:
        out, in_, coarse = self.theta1.shape
        fine = self.theta2.shape[2]
        return {
            "theta1": Site(
                Rearranged("n o c -> n o 1 c"),
                Rearranged("n o q -> n o 1 q"),
                (out, coarse, in_),
                axes="bio",
            ),
            "theta2": Site(
                Rearranged("n c p -> n c 1 p"),
                Rearranged("n o c -> n c 1 o"),
                (in_, out, fine),
                axes="obi",
            ),
        }

    def reset_parameters(self, gain: float = 1.0, generator: torch.Generator | None = None) -> None:
        # Equal norms of θ1 and θ2: the fixed point of the gauge (θ1·c, θ2/c) under one prior.
        _, in_, coarse = self.theta1.shape
        fine = self.theta2.shape[2]
        product = gain / math.sqrt(in_ * fine)
        draw_normal(self.theta1, math.sqrt(product * math.sqrt(fine / coarse)), generator)
        draw_normal(self.theta2, math.sqrt(product * math.sqrt(coarse / fine)), generator)

    def balance_(self) -> None:
        """Rescale (θ1·c, θ2/c) per pair of channels to equal norms: the same map, least ‖θ‖²."""
        balance_pairs_(self.theta1, self.theta2)

    @property
    def symmetry(self) -> str:
        return "none"
