"""Separable group convolutions: a filter in space, then one over orientations (App. F.3)."""

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn

from relaxeq.fields import Field
from relaxeq.groups import Subgroup
from relaxeq.paths.base import Path, draw_normal
from relaxeq.paths.gauge import balance_channels_
from relaxeq.paths.gconv import conv_stage
from relaxeq.paths.stages.depthwise import SpatialStage, TurnStage
from relaxeq.paths.stages.stage import Stage
from relaxeq.paths.subgroups import symmetry_name
from relaxeq.sites import Site, bias_site, tap

ROUNDS = 30
"""Rounds of balancing: 4⁻³⁰ of an imbalance is below double precision."""


@final
class StagedConv(Path):
    """Several stages in a row, each with its parameter, and a bias per channel between them.

    y = stage_m(… stage_1(x, θ_1) + b_1 …, θ_m). Linear in each parameter given the others; the
    inner biases b (C), equal at all positions and orientations, break no symmetry. All share one
    prior. A trivial source is lifted by the first stage.
    """

    def __init__(
        self,
        source: Field,
        target: Field,
        part: Subgroup,
        stages: Mapping[str, Stage],
        label: str = "GCONV",
    ) -> None:
        super().__init__(label, source.shape, target.shape)
        self.part = part
        self.orientations = part.parent.order
        self.stages = nn.ModuleDict(stages)
        for name, stage in stages.items():
            self.register_parameter(name, nn.Parameter(torch.empty(*stage.shape)))
        self._inner = tuple(stages)[:-1]
        for name in self._inner:
            self.register_parameter(f"{name}_bias", nn.Parameter(torch.zeros(source.channels)))
        self.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        for name, stage in self.stages.items():
            # getattr, not get_parameter, so that torch.func may put tensors in their place
            x = tap(self, name, x, stage(x, getattr(self, name)))
            if name in self._inner:
                bias: Tensor = getattr(self, f"{name}_bias")
                y = x + bias.repeat_interleave(self.orientations)[:, None, None]
                x = tap(self, f"{name}_bias", x, y)
        return x

    def sites(self) -> dict[str, Site]:
        found: dict[str, Site] = {name: stage.site() for name, stage in self.stages.items()}  # type: ignore[operator]
        pattern = "n (c k) h w -> n 1 1 c"
        for name in self._inner:
            channels = len(self.get_parameter(f"{name}_bias"))
            found[f"{name}_bias"] = bias_site(channels, pattern, k=self.orientations)
        return found

    def reset_parameters(self, gain: float = 1.0, generator: torch.Generator | None = None) -> None:
        for name, stage in self.stages.items():
            assert isinstance(stage, Stage)
            scale = 1.0 if name in self._inner else gain
            draw_normal(self.get_parameter(name), scale / math.sqrt(stage.fan_in), generator)
        for name in self._inner:
            nn.init.zeros_(self.get_parameter(f"{name}_bias"))

    def balance_(self) -> None:
        """Rescale every channel between two stages, its bias too: the same map, least ‖θ‖².

        One channel of one boundary at a time; ‖θ‖² is convex in the logarithms of all scales, and
        each round makes what is left at least 4 times smaller.
        """
        for _ in range(ROUNDS):
            for name, following in pairwise(self.stages):
                writing = [self.get_parameter(name), self.get_parameter(f"{name}_bias")]
                reading = self.get_parameter(following)
                if all(parameter.requires_grad for parameter in (*writing, reading)):
                    sides = [self._by_channel(name), self._by_channel(f"{name}_bias")]
                    balance_channels_(sides, self._by_channel(following, reads=True))

    @torch.no_grad()
    def _by_channel(self, name: str, reads: bool = False) -> Tensor:
        """A view (channel, …) of a parameter; only the last stage mixes the channels it reads."""
        parameter = self.get_parameter(name)
        channels = len(self.get_parameter(f"{self._inner[0]}_bias"))
        if reads and name not in self._inner:
            return parameter.view(len(parameter), channels, -1).movedim(1, 0)
        return parameter.view(channels, -1)

    @property
    def symmetry(self) -> str:
        return symmetry_name(self.part)


def separable_conv(
    source: Field, target: Field, kernel_size: int, part: Subgroup, label: str = "GCONV"
) -> StagedConv:
    """θ̄1(c, x, y) with bias, then θ̄2(c', c, k): (C·|H|/|K|, k²), (C), (C'·|H|/|K|, C·|H|)."""
    lifted = replace(source, rep="regular")
    stages = {
        "spatial": SpatialStage(source, kernel_size, part),
        "mix": conv_stage(lifted, target, 1, part, pointwise=False),
    }
    return StagedConv(source, target, part, stages, label)


def depthwise_separable_conv(
    source: Field, target: Field, kernel_size: int, part: Subgroup, label: str = "GCONV"
) -> StagedConv:
    """θ̄1(c, x, y) with bias, θ̄2(c, k) with bias, then θ̄3(c', c) within each orientation.

    Shapes (C·|H|/|K|, k²), (C), (C·|H|/|K|, |H|), (C), (C'·|H|/|K|, C·|H|/|K|).
    """
    lifted = replace(source, rep="regular")
    stages = {
        "spatial": SpatialStage(source, kernel_size, part),
        "turn": TurnStage(lifted, part),
        "mix": conv_stage(lifted, target, 1, part, pointwise=True),
    }
    return StagedConv(source, target, part, stages, label)
