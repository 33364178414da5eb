"""MAP: a linear map between representations, in the basis of an equivariant space (App. B)."""

import math
from dataclasses import dataclass
from typing import final

import torch
from einops import rearrange
from torch import Tensor, nn

from relaxeq.errors import GroupError
from relaxeq.groups.abstract import Floats
from relaxeq.paths.base import Path, draw_normal
from relaxeq.paths.exact import Exact
from relaxeq.paths.expansion import Expansion
from relaxeq.paths.space import Vectors
from relaxeq.shapes import Expanded, Gram
from relaxeq.sites import Layout, Rearranged, Site, tap


@final
class BasisMap(Path):
    """y[c', i] = Σ_{c,k,j} u[c', c, k] B[k, i, j] x[c, j], with B an orthonormal basis of Hom_K.

    u of shape (C', C·K). Because B is orthonormal, u ~ N(0, σ² I) is the isotropic prior on the
    space of equivariant matrices, whatever basis spans it. `symmetry` names the group K.
    """

    def __init__(
        self, source: Vectors, target: Vectors, basis: Floats, symmetry: str, label: str = "MAP"
    ) -> None:
        super().__init__(label, source.shape, target.shape)
        if not len(basis):
            raise GroupError(
                f"{label}: no linear map from {source.rho!r} to {target.rho!r} commutes with "
                f"{symmetry} but 0. Leave this path out."
            )
        self._symmetry = symmetry
        self.basis = Exact(basis)
        self._expansion = Expansion()
        self.theta = nn.Parameter(torch.empty(target.channels, source.channels * len(basis)))
        self.reset_parameters()

    def weight(self) -> Tensor:
        """The dense (C'·d_out, C·d_in) matrix, from memory in evaluation mode."""
        return self._expansion(self, [self.theta], self._expanded)

    def _expanded(self) -> Tensor:
        split = self.theta.unflatten(1, (-1, len(self.basis.array)))
        blocks = torch.einsum("ock,kij->oicj", split, self.basis.tensor)
        return blocks.flatten(2).flatten(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        return tap(self, "theta", x, x @ self.weight().mT)

    def sites(self) -> dict[str, Site]:
        rows = self.basis.array.shape[1]
        outputs = Rearranged("n (o i) -> n 1 i o", (("i", rows),))
        return {"theta": Site(BasisFeatures(self.basis), outputs, (1, *self.theta.shape))}

    def reset_parameters(self, gain: float = 1.0, generator: torch.Generator | None = None) -> None:
        # Σ B² = K over d_out rows: each entry of y sums C K / d_out unit variances.
        fan_in = self.theta.shape[1] / self.basis.array.shape[1]
        draw_normal(self.theta, gain / math.sqrt(fan_in), generator)

    @property
    def symmetry(self) -> str:
        return self._symmetry


@final
@dataclass(frozen=True, eq=False)
class BasisFeatures(Layout):
    """a[n, i, (c, k)] = Σ_j B[k, i, j] x[n, c, j]: features (c, k), shared over the rows i."""

    basis: Exact

    def expand(self, tensor: Tensor) -> Expanded:
        basis = self.basis.tensor.to(tensor)
        split = tensor.unflatten(1, (-1, basis.shape[2]))
        return rearrange(torch.einsum("kij,ncj->nick", basis, split), "n i c k -> n 1 i (c k)")

    def gram(self, tensor: Tensor) -> Gram:
        basis = self.basis.tensor.to(tensor)
        plain = (tensor.mT @ tensor).unflatten(0, (-1, basis.shape[2]))
        split = plain.unflatten(2, (-1, basis.shape[2]))
        found = torch.einsum("kij,cjdm,lim->ckdl", basis, split, basis)
        return rearrange(found, "c k d l -> 1 (c k) (d l)")

    def shared(self, tensor: Tensor) -> int:
        return self.basis.array.shape[1]
