"""The bias of a representation: one value per channel and invariant vector."""

from typing import final

import torch
from torch import Tensor, nn

from relaxeq.errors import GroupError
from relaxeq.groups import equivariant_basis
from relaxeq.groups.representation import one
from relaxeq.paths.base import GaussianModule
from relaxeq.paths.exact import Exact
from relaxeq.paths.space import Vectors
from relaxeq.sites import Explicit, Ones, Site, tap


@final
class InvariantBias(GaussianModule):
    """x[c, i] ↦ x[c, i] + Σ_m b[c, m] v_m[i], v an orthonormal basis of {v: ρ(g) v = v}.

    b of shape (C, M) has a prior of its own; with σ² = 0 it is off. It breaks no symmetry.
    """

    def __init__(self, target: Vectors) -> None:
        super().__init__("bias")
        invariant = equivariant_basis(one(target.rho.group), target.rho)[:, :, 0]
        if not len(invariant):
            raise GroupError(
                f"bias=True: {target.rho!r} has no invariant vector for a bias. Write bias=False."
            )
        self.basis = Exact(invariant)
        self.value = nn.Parameter(torch.zeros(target.channels, len(invariant)))

    def forward(self, x: Tensor) -> Tensor:
        if self.off:
            return x
        return tap(self, "value", x, x + (self.value @ self.basis.tensor).flatten())

    def sites(self) -> dict[str, Site]:
        return {"value": Site(Ones(), Explicit(self._components), (1, self.value.numel(), 1))}

    def _components(self, z: Tensor) -> Tensor:
        split: Tensor = z.unflatten(1, (len(self.value), -1))
        return (split @ self.basis.tensor.to(z).mT).flatten(1)[:, None, None]
