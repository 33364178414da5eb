"""S-CONV and S-GCONV: convolutions whose filters lie in a sparse basis (Eq. 6, App. A)."""

import math
from collections.abc import Mapping
from typing import final

import torch
from einops import rearrange
from torch import Tensor

from relaxeq.errors import SpecError
from relaxeq.fields import Field
from relaxeq.groups import PointGroup, Subgroup
from relaxeq.paths.gconv import conv_stage
from relaxeq.paths.sparse.anchors import Places, filter_places
from relaxeq.paths.sparse.basis import White, gain_of, sparse_basis
from relaxeq.paths.sparse.layouts import BasisPatches, PairPatches, PairRows, Part
from relaxeq.paths.sparse.options import Sparse
from relaxeq.paths.sparse.path import Functions, Show, SparsePath, spread
from relaxeq.paths.stages.orbit import OrbitStage
from relaxeq.paths.stages.sheet import SheetStage
from relaxeq.paths.stages.stage import Stage
from relaxeq.paths.stages.torus import torus_conv
from relaxeq.paths.subgroups import symmetry_name
from relaxeq.sites import Site


@final
class SparseConv(SparsePath):
    """The filter of CONV or GCONV as θ(c', c, p) = Σ_j u(c', c, j) φ_j(p): u of shape (C', C, M).

    S-CONV (K = {e}): p runs over the k² taps δ, Euclidean distance; channels count orientations.
    S-GCONV, full: p = (k, δ) runs over the elements of Z2 ⋊ H in the filter, with a left-invariant
    distance (App. A); pointwise and lifting filters have taps alone. C' and C count the rows
    t ∈ K\\H of the dense path. θ is spread over the group and convolved as that path does; the
    curvature is its A, projected by Φ (App. C.2). Equivariant to Z2 ⋊ K for every ω.
    """

    def __init__(  # noqa: PLR0913  (what a filter is)
        self,
        source: Field,
        target: Field,
        kernel_size: int,
        part: Subgroup,
        label: str = "S-CONV",
        *,
        pointwise: bool = False,
        options: Sparse = Sparse(),  # noqa: B008  (a frozen value)
    ) -> None:
        stage = conv_stage(source, target, kernel_size, part, pointwise)
        if part.order > 1:
            options.refuse_pairs(label)
        if target.orientations < part.order:
            raise SpecError(
                f"{label} into a trivial field has a parameter per orbit of taps, too few for a "
                "basis: write GCONV there, or a regular target."
            )
        places = _places(stage, source, part)
        pairs = (stage.shape[0], stage.shape[1] // len(places))
        basis = sparse_basis(places, options)
        factors = {"u": (basis, (*pairs, basis.shape[0]))}
        super().__init__(label, (source.shape, target.shape), pairs, factors, options)
        self.stage, self.part, self.kernel_size = stage, part, kernel_size
        self.reset_parameters()

    def respond(self, x: Tensor, functions: Functions, show: Show) -> Tensor:
        theta = spread(self.anchors("u"), functions["u"]).flatten(1)
        return show("u", x, self.stage(x, theta))

    def pair_slopes(self, x: Tensor, functions: Functions, slopes: Functions) -> Tensor:
        steeper = rearrange(
            spread(self.anchors("u"), slopes["u"]), "o c (y x) -> (c o) 1 y x", y=self.kernel_size
        )
        found = torus_conv(x, steeper, groups=self.pairs[1])
        return rearrange(found, "n (c o) h w -> n o c (h w)", c=self.pairs[1])

    def anchor_sites(self) -> dict[str, Site]:
        phi = self.functions()["u"]
        anchors = self.anchors("u").shape[2]
        if self.options.per_pair:
            blocks = self.pairs[0] * self.pairs[1]
            inputs = PairPatches(self.kernel_size, phi)
            return {"u": Site(inputs, PairRows(self.pairs[1]), (blocks, 1, anchors))}
        read = BasisPatches(_parts(self.stage, phi))
        shape = (1, self.pairs[0], self.pairs[1] * anchors)
        return {"u": Site(read, self.stage.site().outputs, shape)}

    def reset_anchors(
        self, start: Mapping[str, White], gain: float, generator: torch.Generator | None
    ) -> None:
        functions = start["u"].functions
        fan_in = self.stage.fan_in / functions.shape[-1] * gain_of(functions)
        self.draw("u", start["u"], gain / math.sqrt(fan_in), generator)

    @property
    def symmetry(self) -> str:
        return symmetry_name(self.part)


def _places(stage: Stage, source: Field, part: Subgroup) -> Places:
    """Taps, with orientations where the filter turns with them."""
    if isinstance(stage, OrbitStage) and part.order > 1 and source.orientations > 1:
        assert isinstance(part.parent, PointGroup)
        return filter_places(stage.kernel_size, part.parent)
    assert isinstance(stage, OrbitStage | SheetStage)
    return filter_places(stage.kernel_size)


def _parts(stage: Stage, phi: Tensor) -> tuple[Part, ...]:
    """What the filter reads on each sheet: which channels, by which functions."""
    kernel = {"y": stage.kernel_size, "x": stage.kernel_size}
    if isinstance(stage, OrbitStage):
        index = torch.arange(stage.depth[1], device=phi.device)
        taps = torch.from_numpy(stage.orbits.taps[:, : phi.shape[1]]).to(phi.device)
        if stage.is_plain:
            taps = torch.arange(phi.shape[1], device=phi.device)[None]
        return (Part(index, rearrange(phi[:, taps], "m s (k y x) -> s m k y x", **kernel)),)
    assert isinstance(stage, SheetStage)
    sheets = (stage.sheets.rows, stage.sheets.taps)
    rows, taps = (torch.from_numpy(found).to(phi.device) for found in sheets)
    first = torch.arange(stage.channels[1], device=phi.device)[:, None] * rows.numel()
    functions = rearrange(phi[:, taps], "m s (y x) -> s 1 m 1 y x", **kernel)
    return tuple(map(Part, [(first + row).flatten() for row in rows], functions))
