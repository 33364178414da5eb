"""GCONV and CONV: convolutions equivariant to Z2 ⋊ K for any subgroup K of the point group."""

import math
from typing import final

import torch
from torch import Tensor, nn

from relaxeq.fields import Field
from relaxeq.groups import Subgroup
from relaxeq.paths.base import Path, draw_normal
from relaxeq.paths.orbit_stage import OrbitStage
from relaxeq.paths.sheet_stage import SheetStage
from relaxeq.paths.stage import Stage
from relaxeq.paths.subgroups import subgroup_name
from relaxeq.sites import Site, tap


@final
class GroupConv(Path):
    """One parameter θ and one stage: the full or the pointwise filter, equivariant to Z2 ⋊ K.

    Full:      W[c', h t, c, k, δ] = θ[c', t, c, h⁻¹k, R_h⁻¹ δ],   h ∈ K, t of a transversal of K\\H
    Pointwise: W[c', h t', c, h t, δ] = θ[c', t', c, t, R_h⁻¹ δ],  0 between different h (App. F.3)

    θ of shape (C'·|H|/|K|, C·|H|·k²), for regular fields, is gathered into one dense filter for one
    circular `conv2d`; the pointwise θ (C'·|H|/|K|, C·|H|/|K|·k²) costs 1/|K| of it. All features
    live in one spatial frame. K = {e} is CONV, a plain convolution over channels and orientations.
    With a trivial source both are the lifting convolution, with a trivial target both are full.
    The curvature is the plain convolution's, symmetrised: A = Σ_{h∈K} P_h A_conv P_hᵀ.
    """

    def __init__(  # noqa: PLR0913  (what a filter is)
        self,
        source: Field,
        target: Field,
        kernel_size: int,
        part: Subgroup,
        label: str = "GCONV",
        *,
        pointwise: bool = False,
    ) -> None:
        super().__init__(label, source.shape, target.shape)
        self.part = part
        self.stage = conv_stage(source, target, kernel_size, part, pointwise)
        self.theta = nn.Parameter(torch.empty(*self.stage.shape))
        self.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        return tap(self, "theta", x, self.stage(x, self.theta))

    def sites(self) -> dict[str, Site]:
        return {"theta": self.stage.site()}

    def reset_parameters(self, gain: float = 1.0, generator: torch.Generator | None = None) -> None:
        draw_normal(self.theta, gain / math.sqrt(self.stage.fan_in), generator)

    @property
    def symmetry(self) -> str:
        return symmetry_name(self.part)


def conv_stage(
    source: Field, target: Field, kernel_size: int, part: Subgroup, pointwise: bool
) -> Stage:
    """The pointwise stage where both fields are regular and K is not {e}, else the full one."""
    if (
        pointwise
        and part.order > 1
        and source.orientations == target.orientations == part.parent.order
    ):
        return SheetStage(source, target, kernel_size, part)
    return OrbitStage(source, target, kernel_size, part)


def symmetry_name(part: Subgroup) -> str:
    """Z2 or Z2 ⋊ K."""
    return "Z2" if part.order == 1 else f"Z2 ⋊ {subgroup_name(part)}"
