"""S-FC: F-FC with both factors in a sparse basis (Eq. 7)."""

import math
from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from relaxeq.fields import Field
from relaxeq.paths.gauge import balance_pairs_
from relaxeq.paths.space import Space
from relaxeq.paths.sparse.anchors import places_of
from relaxeq.paths.sparse.basis import White, gain_of, sparse_basis
from relaxeq.paths.sparse.options import Sparse
from relaxeq.paths.sparse.path import Functions, Show, SparsePath, spread
from relaxeq.sites import Explicit, Projected, Rearranged, Site


@final
class SparseFC(SparsePath):
    """y(c',p') = Σ_c s1(c',c,p') Σ_p s2(c',c,p) x(c,p),   s_i(c',c,p) = Σ_j u_i(c',c,j) φ_ij(p).

    u1 (C', C, M1) over the places of the target, u2 (C', C, M2) over those of the source; channels
    count orientations too. Places are the pixels of a torus, or the elements of a finite group
    between its regular representations (App. A). At ω = 0 (σ² = 0, prior="lengthscales") it is a
    global sum, mixed over channels and spread over all places: strictly equivariant. Weights are
    expanded to their places before they meet the data: C'C·M·XY operations more than F-FC.
    """

    def __init__(
        self,
        source: Space,
        target: Space,
        label: str = "S-FC",
        options: Sparse = Sparse(),  # noqa: B008  (a frozen value)
    ) -> None:
        pairs = (target.depth, source.depth)
        places = {"u1": places_of(target, "target"), "u2": places_of(source, "source")}
        bases = {name: sparse_basis(found, options) for name, found in places.items()}
        factors = {name: (basis, (*pairs, basis.shape[0])) for name, basis in bases.items()}
        super().__init__(label, (source.shape, target.shape), pairs, factors, options)
        self._whole = "Z2" if isinstance(source, Field) else str(source.rho.group)  # type: ignore[attr-defined]
        self.reset_parameters()

    def balance_(self) -> None:
        """Rescale (u1·c, u2/c) per pair of channels to equal norms: the same map, least ‖u‖²."""
        balance_pairs_(self.anchors("u1"), self.anchors("u2"))

    def respond(self, x: Tensor, functions: Functions, show: Show) -> Tensor:
        x = x.reshape(x.shape[0], self.pairs[1], math.prod(self.in_shape) // self.pairs[1])
        second = spread(self.anchors("u2"), functions["u2"])
        x1 = show("u2", x, torch.einsum("ocp,ncp->noc", second, x))
        first = spread(self.anchors("u1"), functions["u1"])
        y = show("u1", x1, torch.einsum("ocq,noc->noq", first, x1))
        return y.reshape(x.shape[0], *self.out_shape)

    def pair_slopes(self, x: Tensor, functions: Functions, slopes: Functions) -> Tensor:
        x = x.reshape(x.shape[0], self.pairs[1], math.prod(self.in_shape) // self.pairs[1])
        of_first, of_second = functions["u1"], functions["u2"]
        first, steeper = (spread(self.anchors("u1"), f) for f in (of_first, slopes["u1"]))
        seconds = [spread(self.anchors("u2"), f) for f in (of_second, slopes["u2"])]
        x1, moved = (torch.einsum("ocp,ncp->noc", second, x) for second in seconds)
        return steeper * x1[..., None] + first * moved[..., None]

    def anchor_sites(self) -> dict[str, Site]:
        functions = self.functions()
        if self.options.per_pair:
            return self._pair_sites(functions)
        out, in_, _ = self.anchors("u1").shape
        return {
            "u1": Site(
                Rearranged("n o c -> n o 1 c"),
                Projected(Rearranged("n o q -> n o 1 q"), functions["u1"]),
                (out, self.anchors("u1").shape[2], in_),
                axes="bio",
            ),
            "u2": Site(
                Projected(Rearranged("n c p -> n c 1 p"), functions["u2"]),
                Rearranged("n o c -> n c 1 o"),
                (in_, out, self.anchors("u2").shape[2]),
                axes="obi",
            ),
        }

    def _pair_sites(self, functions: Functions) -> dict[str, Site]:
        """A block per pair of channels, since each pair has its own Φ."""
        blocks = self.pairs[0] * self.pairs[1]

        def outputs(g: Tensor) -> Tensor:
            return torch.einsum("ocmq,noq->nocm", functions["u1"], g).flatten(1, 2)[:, :, None]

        def inputs(x: Tensor) -> Tensor:
            return torch.einsum("ocmp,ncp->nocm", functions["u2"], x).flatten(1, 2)[:, :, None]

        scalars = Rearranged("n o c -> n (o c) 1 1")
        return {
            "u1": Site(scalars, Explicit(outputs), (blocks, self.anchors("u1").shape[2], 1)),
            "u2": Site(Explicit(inputs), scalars, (blocks, 1, self.anchors("u2").shape[2])),
        }

    def reset_anchors(
        self, start: Mapping[str, White], gain: float, generator: torch.Generator | None
    ) -> None:
        # As in F-FC: u1 and u2 of equal norm. The first factor writes places, the second reads.
        first, second = start["u1"], start["u2"]
        written = float(first.functions.square().sum(0).mean())
        product = gain / math.sqrt(self.pairs[1] * written * gain_of(second.functions))
        ratio = math.sqrt(second.square / first.square)
        self.draw("u1", first, math.sqrt(product * ratio), generator)
        self.draw("u2", second, math.sqrt(product / ratio), generator)

    @property
    def symmetry(self) -> str:
        return self._whole if self.stationary else "none"
