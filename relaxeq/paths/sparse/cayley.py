"""S-GCONV over any finite group: CayleyConv with a filter in a sparse basis (App. A)."""

import math
from collections.abc import Mapping
from typing import final

import torch
from einops import rearrange
from torch import Tensor

from relaxeq.paths.cayley import CayleyFeatures, group_of_regular
from relaxeq.paths.exact import Exact
from relaxeq.paths.space import Vectors
from relaxeq.paths.sparse.anchors import places_of
from relaxeq.paths.sparse.basis import White, gain_of, sparse_basis
from relaxeq.paths.sparse.options import Sparse
from relaxeq.paths.sparse.path import Functions, Show, SparsePath, spread
from relaxeq.sites import Explicit, Rearranged, Site


@final
class SparseCayley(SparsePath):
    """y(c', g') = Σ_{c,g} s(c', c, g⁻¹g') x(c, g),   s(c', c, h) = Σ_j u(c', c, j) φ_j(h).

    φ_j(h) = exp(−ω² d²(h, z_j)) with a left-invariant distance d on the group and M anchors z_j
    among its elements; u (C', C, M). Between channels of the regular representation of one finite
    group. Equivariant for every ω.
    """

    def __init__(
        self,
        source: Vectors,
        target: Vectors,
        label: str = "S-GCONV",
        options: Sparse = Sparse(),  # noqa: B008  (a frozen value)
    ) -> None:
        group = group_of_regular(source, target, label)
        options.refuse_pairs(label)
        basis = sparse_basis(places_of(source, "source"), options)
        pairs = (target.channels, source.channels)
        factors = {"u": (basis, (*pairs, basis.shape[0]))}
        super().__init__(label, (source.shape, target.shape), pairs, factors, options)
        self.group = group
        quotient = group.mul[group.inv].T  # [g', g] = g⁻¹ g'
        self.table = Exact(quotient)
        self.reset_parameters()

    def respond(self, x: Tensor, functions: Functions, show: Show) -> Tensor:
        theta = spread(self.anchors("u"), functions["u"])
        filters = theta[:, :, self.table.tensor]  # (c', c, g', g)
        return show("u", x, x @ rearrange(filters, "o c i j -> (c j) (o i)"))

    def pair_slopes(self, x: Tensor, functions: Functions, slopes: Functions) -> Tensor:
        raise AssertionError("one ω only")

    def anchor_sites(self) -> dict[str, Site]:
        features = CayleyFeatures(self.group.mul[:, self.group.inv])
        phi = self.functions()["u"]

        def read(x: Tensor) -> Tensor:
            split: Tensor = features.expand(x).unflatten(-1, (self.pairs[1], -1))
            return (split @ phi.to(x).mT).flatten(3)

        rows = Rearranged("n (o i) -> n 1 i o", (("i", self.group.order),))
        shape = (1, self.pairs[0], self.pairs[1] * len(phi))
        return {"u": Site(Explicit(read), rows, shape)}

    def reset_anchors(
        self, start: Mapping[str, White], gain: float, generator: torch.Generator | None
    ) -> None:
        fan_in = self.pairs[1] * gain_of(start["u"].functions)
        self.draw("u", start["u"], gain / math.sqrt(fan_in), generator)

    @property
    def symmetry(self) -> str:
        return self.group.name
