"""Group convolution over any finite group, by its Cayley table (App. A)."""

import math
from dataclasses import dataclass
from typing import final

import torch
from einops import rearrange
from torch import Tensor, nn

from relaxeq.errors import GroupError
from relaxeq.groups import FiniteGroup
from relaxeq.paths.base import Path, draw_normal
from relaxeq.paths.exact import Exact
from relaxeq.paths.expansion import Expansion
from relaxeq.paths.space import Vectors
from relaxeq.paths.stages.lattice import Index
from relaxeq.shapes import Expanded, Gram
from relaxeq.sites import Layout, Rearranged, Site, gram_of, tap


@final
class CayleyConv(Path):
    """y(c', g') = Σ_{c,g} θ(c', c, g⁻¹g') x(c, g), θ of shape (C', C·|G|) (App. A).

    Source and target are channels of the regular representation of one finite group. It spans what
    MAP spans there, with parameters that are the filter's values.
    """

    def __init__(self, source: Vectors, target: Vectors, label: str = "GCONV") -> None:
        super().__init__(label, source.shape, target.shape)
        self.group = group_of_regular(source, target, label)
        order = self.group.order
        quotient = self.group.mul[self.group.inv].T  # [g', g] = g⁻¹ g'
        self.table = Exact(quotient)
        self._expansion = Expansion()
        self.theta = nn.Parameter(torch.empty(target.channels, source.channels * order))
        self.reset_parameters()

    def weight(self) -> Tensor:
        """The dense (C'·|G|, C·|G|) matrix, from memory in evaluation mode."""
        return self._expansion(self, [self.theta], self._expanded)

    def _expanded(self) -> Tensor:
        split: Tensor = self.theta.unflatten(1, (-1, self.group.order))[:, :, self.table.tensor]
        return split.permute(0, 2, 1, 3).flatten(2).flatten(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        return tap(self, "theta", x, x @ self.weight().mT)

    def sites(self) -> dict[str, Site]:
        read = self.group.mul[:, self.group.inv]  # [g', s] = g' s⁻¹: where filter tap s reads
        outputs = Rearranged("n (o i) -> n 1 i o", (("i", self.group.order),))
        return {"theta": Site(CayleyFeatures(read), outputs, (1, *self.theta.shape))}

    def reset_parameters(self, gain: float = 1.0, generator: torch.Generator | None = None) -> None:
        draw_normal(self.theta, gain / math.sqrt(self.theta.shape[1]), generator)

    @property
    def symmetry(self) -> str:
        return self.group.name


@final
@dataclass(frozen=True, eq=False)
class CayleyFeatures(Layout):
    """a[n, g', (c, s)] = x[n, c, g's⁻¹]: features (c, s), shared over the elements g'."""

    read: Index

    def expand(self, tensor: Tensor) -> Expanded:
        index = torch.from_numpy(self.read).to(tensor.device)
        picked: Tensor = tensor.unflatten(1, (-1, len(self.read)))[:, :, index]
        return rearrange(picked, "n c g s -> n 1 g (c s)")

    def gram(self, tensor: Tensor) -> Gram:
        return gram_of(self.expand(tensor))

    def shared(self, tensor: Tensor) -> int:
        return len(self.read)


def group_of_regular(source: Vectors, target: Vectors, label: str) -> FiniteGroup:
    """The group of two regular representations. Raises GroupError for others."""
    group = source.rho.group
    if not isinstance(group, FiniteGroup) or not source.rho == target.rho == group.regular:
        raise GroupError(
            f"{label} convolves over a finite group, and needs its regular representation on both "
            f"sides, not {source.rho} and {target.rho}: write group.regular, or MAP in its place."
        )
    return group
