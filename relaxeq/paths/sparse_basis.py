"""Bases of sparse weights: Φ (M, n), the value at n places of M functions, for a lengthscale ω."""

from abc import ABC, abstractmethod
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from relaxeq.paths.anchors import Anchors, Places, placed_anchors
from relaxeq.paths.exact import Exact
from relaxeq.paths.sparse_options import Sparse

EPSILON = 1e-4
"""What regularises the interpolating basis: Φ = (K + ε I)⁻¹ k."""


class Basis(nn.Module, ABC):
    """M functions on n places, weights s = u Φ; differentiable in ω and in the locations z.

    ω may be one number, or one for each pair of channels: Φ is then (C', C, M, n). At ω = 0 all
    functions are constant.
    """

    def __init__(self, places: Places, anchors: Anchors) -> None:
        super().__init__()
        self.start = anchors.z
        self.period = places.periods
        self.positions = Exact(places.positions)
        self.turned = Exact(places.between[anchors.turns][:, places.turns])
        self.apart = Exact(places.between[anchors.turns][:, anchors.turns])
        steps = np.array(places.periods or (np.pi, np.pi), float) / np.pi
        self.radius = Exact(steps)

    @property
    def shape(self) -> tuple[int, int]:
        """(M, n)."""
        return (len(self.start), len(self.positions.array))

    @abstractmethod
    def forward(self, omega: Tensor, z: Tensor) -> Tensor:
        """Φ (…, M, n) for ω of shape (…) and z (M, 2)."""

    def kernel(self, omega: Tensor, z: Tensor, points: Tensor, turned: Tensor) -> Tensor:
        """exp(−ω² d²) between z (M, 2) and points (n, 2), d² with `turned` (M, n) added."""
        steps = z[:, None] - points
        if self.period is not None:
            steps = torch.sin(steps / self.radius.tensor) * self.radius.tensor
        squares = steps.square().sum(-1) + turned
        found: Tensor = torch.exp(-omega[..., None, None].square() * squares)
        return found


@final
class ExponentialBasis(Basis):
    """φ_j(p) = exp(−ω² d²(p, z_j)) (§3.1, after van der Ouderaa and van der Wilk 2023)."""

    def forward(self, omega: Tensor, z: Tensor) -> Tensor:
        return self.kernel(omega, z, self.positions.tensor, self.turned.tensor)


@final
class InterpolatingBasis(Basis):
    """Φ = (K + ε I)⁻¹ k with K_ij = exp(−ω² d²(z_i, z_j)), k_i(p) = exp(−ω² d²(z_i, p)).

    s = u Φ is then the mean of Gaussian-process regression through the values u_j at z_j with
    noise ε = 10⁻⁴: the anchors hold weights, not amplitudes. Solved in float64.
    """

    def forward(self, omega: Tensor, z: Tensor) -> Tensor:
        at_places = self.kernel(omega, z, self.positions.tensor, self.turned.tensor)
        between = self.kernel(omega, z, z, self.apart.tensor).double()
        noise = EPSILON * torch.eye(len(z), dtype=torch.float64, device=z.device)
        found: Tensor = torch.linalg.solve(between + noise, at_places.double())
        return found.to(at_places.dtype)


def sparse_basis(places: Places, options: Sparse, count: int | None = None) -> Basis:
    """The basis that the options say, on these places, with `count` anchors in place of theirs."""
    wanted = options.count(len(places)) if count is None else min(count, len(places))
    anchors = placed_anchors(places, wanted, options.design)
    kind = InterpolatingBasis if options.basis == "interpolating" else ExponentialBasis
    return kind(places, anchors)
