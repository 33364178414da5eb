"""Paths that are one circular convolution: what GCONV, CONV and STEER have in common."""

import math
from abc import ABC
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from relaxeq.fields import Field
from relaxeq.groups import Subgroup
from relaxeq.paths.base import Path, draw_normal
from relaxeq.paths.expansion import Expansion
from relaxeq.paths.stages.stage import FilterStage
from relaxeq.paths.stages.torus import torus_conv
from relaxeq.paths.subgroups import symmetry_name
from relaxeq.sites import Site, tap


class FilterPath(Path, ABC):
    """y = W(θ) * x on the torus, W equivariant to Z2 ⋊ K; a new one chooses its stage alone."""

    def __init__(
        self, label: str, source: Field, target: Field, part: Subgroup, stage: FilterStage
    ) -> None:
        super().__init__(label, source.shape, target.shape)
        self.part = part
        self.stage = stage
        self.theta = nn.Parameter(torch.empty(*stage.shape))
        self._expansion = Expansion()
        self.reset_parameters()

    @final
    def filter(self) -> Tensor:
        """The dense filter (C'·|H|, C·|H|, k, k), from memory in evaluation mode."""
        return self._expansion(self, [self.theta], lambda: self.stage.filter(self.theta))

    def forward(self, x: Tensor) -> Tensor:
        dense = self.stage.is_dense
        y = torus_conv(x, self.filter()) if dense else self.stage(x, self.theta)
        return tap(self, "theta", x, y)

    def sites(self) -> dict[str, Site]:
        return {"theta": self.stage.site()}

    def reset_parameters(self, gain: float = 1.0, generator: torch.Generator | None = None) -> None:
        draw_normal(self.theta, gain / math.sqrt(self.stage.fan_in), generator)

    @property
    def symmetry(self) -> str:
        return symmetry_name(self.part)


def sums_as_one(paths: Sequence[Path]) -> list[FilterPath]:
    """Those paths whose filters add up to one dense filter that some of them need anyway.

    A path with hooks is left out: it must be called for them to see anything.
    """
    found = [
        path
        for path in paths
        if isinstance(path, FilterPath) and not (path._forward_hooks or path._forward_pre_hooks)
    ]
    dense = any(path.stage.is_dense for path in found)
    return found if dense and len(found) > 1 else []


def convolved_as_one(x: Tensor, paths: Sequence[FilterPath], weight: Tensor) -> Tensor:
    """Σ W_path * x with `weight` = Σ W_path; every θ is shown x and the sum of all images.

    The gradient of the sum is that of each image, which is all that curvature asks of an output.
    """
    y = torus_conv(x, weight)
    for path in paths:
        y = tap(path, "theta", x, y)
    return y
