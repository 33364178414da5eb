"""Bases of sparse weights: Φ (M, n), the value at n places of M functions, for a lengthscale ω."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from relaxeq.paths.exact import Exact
from relaxeq.paths.sparse.anchors import Anchors, Floats, Places, placed_anchors
from relaxeq.paths.sparse.options import Sparse

EPSILON = 1e-4
"""What regularises the interpolating basis: Φ = (K + ε I)⁻¹ k."""

FARTHEST = 50.0
"""Where exp(−ω² d²) counts as 0: denormal numbers would cost a hundred times more."""

RECTIFIED = 1 / math.pi
"""E[r]² / E[r²] of r = max(0, ξ), ξ normal: how much places of rectified noise have in common."""


class Basis(nn.Module, ABC):
    """M functions on n places, weights s = u Φ; differentiable in ω and in the locations z.

    ω may be one number, or one for each pair of channels: Φ is then (C', C, M, n). At ω = 0 all
    functions are constant. Without z the anchors lie where they started.
    """

    def __init__(self, places: Places, anchors: Anchors) -> None:
        super().__init__()
        self.places, self.anchors = places, anchors
        self.to_places = Distances(places, anchors)

    @property
    def start(self) -> Floats:
        """Where the anchors lay first, (M, 2)."""
        return self.anchors.z

    def at(self, places: Places) -> "Basis":
        """The same functions on other places of the same plane or torus, in float64."""
        return type(self)(places, self.anchors).double()

    @property
    def shape(self) -> tuple[int, int]:
        """(M, n)."""
        rows, columns = self.to_places.still.array.shape
        return (rows, columns)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.shape[0]} functions on {self.shape[1]} places)"

    @abstractmethod
    def forward(self, omega: Tensor, z: Tensor | None = None) -> Tensor:
        """Φ (…, M, n) for ω of shape (…) and z (M, 2)."""


@final
class Distances(nn.Module):
    """Squared distances (M, n) from anchors to places, as `Places.squares` defines them."""

    def __init__(self, places: Places, anchors: Anchors) -> None:
        super().__init__()
        self.still = Exact(places.squares(anchors.z, anchors.turns))
        self.positions = Exact(places.positions)
        turned = places.between[anchors.turns][:, places.turns]
        self.turned = Exact(turned if turned.any() else np.zeros((1, 1)))
        self.on_torus = places.periods is not None
        self.radii = Exact(np.array(places.periods or (1, 1)) / np.pi)

    def forward(self, z: Tensor | None = None, positions: Tensor | None = None) -> Tensor:
        """From z, and to other positions, if they are given."""
        if z is None:
            return self.still.tensor
        steps = z[:, None] - (self.positions.tensor if positions is None else positions)
        if self.on_torus:
            steps = torch.sin(steps / self.radii.tensor) * self.radii.tensor
        return steps.square().sum(-1) + self.turned.tensor


@final
class ExponentialBasis(Basis):
    """φ_j(p) = exp(−ω² d²(p, z_j)) (§3.1, after van der Ouderaa and van der Wilk 2023)."""

    def forward(self, omega: Tensor, z: Tensor | None = None) -> Tensor:
        return exponential(omega, self.to_places(z))


@final
class InterpolatingBasis(Basis):
    """Φ = (K + ε I)⁻¹ k with K_ij = exp(−ω² d²(z_i, z_j)), k_i(p) = exp(−ω² d²(z_i, p)).

    s = u Φ is then the mean of Gaussian-process regression through the values u_j at z_j with
    noise ε = 10⁻⁴: the anchors hold weights, not amplitudes. Solved in float64.
    """

    def __init__(self, places: Places, anchors: Anchors) -> None:
        super().__init__(places, anchors)
        among = Places(anchors.z, places.periods, anchors.turns, places.between)
        self.to_anchors = Distances(among, anchors)

    def forward(self, omega: Tensor, z: Tensor | None = None) -> Tensor:
        fine = omega.double()
        at_places = exponential(fine, self.to_places(z).double())
        between = exponential(fine, self.to_anchors(z, z).double())
        noise = EPSILON * torch.eye(len(self.start), dtype=torch.float64, device=omega.device)
        found: Tensor = torch.linalg.solve(between + noise, at_places)
        return found.to(omega.dtype)


def exponential(omega: Tensor, squares: Tensor) -> Tensor:
    """exp(−ω² d²) for ω of shape (…) and d² of shape (M, n)."""
    exponent = omega[..., None, None].square() * squares
    return torch.exp(-exponent.clamp_max(FARTHEST)).masked_fill(exponent > FARTHEST, 0.0)


def gain_of(functions: Tensor) -> float:
    """E (Σ_p s(p) x(p))² for s = u Φ, u ~ N(0, I), and x rectified noise of mean square 1.

    Σ_j [(1 − ρ) Σ_p φ_j(p)² + ρ (Σ_p φ_j(p))²], ρ = 1/π: neighbouring weights are alike, so what
    inputs have in common counts, unlike for independent weights. Averaged over pairs of channels.
    """
    apart = functions.square().sum(-1)
    common = functions.sum(-1).square()
    return float(((1 - RECTIFIED) * apart + RECTIFIED * common).sum(-1).mean())


@final
@dataclass(frozen=True, eq=False)
class White:
    """Anchors u = ξ T for which weights s = u Φ = ξ Q are white: Q = T Φ has orthonormal rows.

    Directions of Φ whose singular value is below FAINT of the largest are left out: they would need
    anchors out of proportion.
    """

    anchors: Tensor
    functions: Tensor

    @property
    def square(self) -> float:
        """E ‖u‖² of one pair of channels, for ξ ~ N(0, I)."""
        return float(self.anchors.square().sum())


FAINT = 0.1


def whitened(phi: Tensor) -> White:
    """T and Q of functions Φ (M, n), in float64; of those of the first pair for (C', C, M, n)."""
    chosen = phi.detach().double().cpu().reshape(-1, *phi.shape[-2:])[0]
    values, rows = torch.linalg.eigh(chosen @ chosen.mT)
    kept = values > FAINT**2 * values[-1]
    anchors = (rows[:, kept] / values[kept].sqrt()).mT
    return White(anchors, anchors @ chosen)


def sparse_basis(places: Places, options: Sparse, count: int | None = None) -> Basis:
    """The basis that the options say, on these places, with `count` anchors in place of theirs."""
    wanted = options.count(len(places)) if count is None else min(count, len(places))
    anchors = placed_anchors(places, wanted, options.design)
    kind = InterpolatingBasis if options.basis == "interpolating" else ExponentialBasis
    return kind(places, anchors)
