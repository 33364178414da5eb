"""FC: the unconstrained linear map (Eq. 1)."""

import math
from typing import final

import torch
from torch import Tensor, nn

from relaxeq.paths.base import Path, draw_normal
from relaxeq.paths.space import Space
from relaxeq.sites import Rearranged, Site, tap


@final
class FC(Path):
    """y(c',p') = Σ_{c,p} θ(c',p',c,p) x(c,p), θ of shape (C'X'Y', CXY). No symmetry."""

    def __init__(self, source: Space, target: Space, label: str = "FC") -> None:
        super().__init__(label, source.shape, target.shape)
        self.theta = nn.Parameter(torch.empty(target.dim, source.dim))
        self.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        y = (x.flatten(1) @ self.theta.mT).view(-1, *self.out_shape)
        return tap(self, "theta", x, y)

    def sites(self) -> dict[str, Site]:
        flat = Rearranged("n ... -> n 1 1 (...)")
        return {"theta": Site(flat, flat, (1, *self.theta.shape))}

    def reset_parameters(self, gain: float = 1.0, generator: torch.Generator | None = None) -> None:
        draw_normal(self.theta, gain / math.sqrt(self.theta.shape[1]), generator)

    @property
    def symmetry(self) -> str:
        return "none"
