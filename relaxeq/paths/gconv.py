"""GCONV and CONV: convolutions equivariant to Z2 ⋊ K for any subgroup K of the point group."""

from typing import final

from relaxeq.fields import Field
from relaxeq.groups import Subgroup
from relaxeq.paths.filter_path import FilterPath
from relaxeq.paths.stages.orbit import OrbitStage
from relaxeq.paths.stages.sheet import SheetStage
from relaxeq.paths.stages.stage import FilterStage


@final
class GroupConv(FilterPath):
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
        stage = conv_stage(source, target, kernel_size, part, pointwise)
        super().__init__(label, source, target, part, stage)


def conv_stage(
    source: Field, target: Field, kernel_size: int, part: Subgroup, pointwise: bool
) -> FilterStage:
    """The pointwise stage where both fields are regular and K is not {e}, else the full one."""
    if (
        pointwise
        and part.order > 1
        and source.orientations == target.orientations == part.parent.order
    ):
        return SheetStage(source, target, kernel_size, part)
    return OrbitStage(source, target, kernel_size, part)
