"""Have the weights converged? The slope of log p(D, θ) against what other data would make of it."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor, nn

from relaxeq.curvature import Batch, checked_batch, wide
from relaxeq.likelihoods import Likelihood
from relaxeq.recipe.priors import PriorGroup


@final
@dataclass(frozen=True)
class Slope:
    """‖∇ log p(D, θ)‖ at the last weights, and the norm that sampling the data would give it.

    Laplace's method expands around weights where the slope is 0. `noise` is the standard deviation
    of Σ_B ∇ log p(B|θ) over data drawn anew, from the spread between batches B: a slope much larger
    than that says that training stopped too soon. 0 with fewer than two batches: unknown.
    """

    norm: float
    noise: float

    @property
    def ratio(self) -> float | None:
        """Slope over noise; None if the noise is not known."""
        return self.norm / self.noise if self.noise > 0 else None


def slope_of(
    net: nn.Module,
    loader: Iterable[Batch],
    likelihood: Likelihood,
    groups: tuple[PriorGroup, ...],
    precisions: Mapping[str, float],
) -> Slope:
    """The slope in evaluation mode: a forward and a backward pass over the data."""
    alphas = {
        name: precisions[group.name]
        for group in groups
        for name in group.parameters
        if precisions[group.name] < float("inf")
    }
    named = {name: p for name, p in net.named_parameters() if name in alphas}
    net.eval()
    sums = _Sums()
    for batch in loader if named else ():
        sums.add(*_gradient(net, batch, likelihood, named))
    if not sums.batches:
        return Slope(0.0, 0.0)
    prior = torch.cat([alphas[n] * p.detach().double().flatten() for n, p in named.items()])
    return Slope(float((sums.total - prior).norm()), sums.noise())


@dataclass
class _Sums:
    """Of batches B with n_B data and gradients g_B: Σ g_B, Σ n_B g_B, Σ ‖g_B‖², Σ n_B, Σ n_B²."""

    total: Tensor = field(default_factory=lambda: torch.zeros(()))
    weighted: Tensor = field(default_factory=lambda: torch.zeros(()))
    squares: float = 0.0
    count: int = 0
    count_squares: int = 0
    batches: int = 0

    def add(self, count: int, gradient: Tensor) -> None:
        self.total = gradient + self.total.to(gradient)
        self.weighted = count * gradient + self.weighted.to(gradient)
        self.squares += float(gradient.square().sum())
        self.count, self.count_squares = self.count + count, self.count_squares + count**2
        self.batches += 1

    def noise(self) -> float:
        """√(B/(B−1) Σ ‖g_B − (n_B/N) Σ g‖²)."""
        if self.batches < 2:
            return 0.0
        cross = 2 * float(self.total @ self.weighted) / self.count
        own = float(self.total @ self.total) * self.count_squares / self.count**2
        spread = max(0.0, self.squares - cross + own)
        return math.sqrt(spread * self.batches / (self.batches - 1))


def _gradient(
    net: nn.Module, batch: Batch, likelihood: Likelihood, named: Mapping[str, nn.Parameter]
) -> tuple[int, Tensor]:
    inputs, targets = checked_batch(batch, net)
    with torch.enable_grad():
        value = likelihood.log_likelihood(wide(net(inputs)), targets)
        found = torch.autograd.grad(value, list(named.values()), allow_unused=True)
    parts = [
        torch.zeros_like(p) if g is None else g for p, g in zip(named.values(), found, strict=True)
    ]
    return len(inputs), torch.cat([part.detach().double().flatten() for part in parts])
