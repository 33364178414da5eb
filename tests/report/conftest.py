"""A fit result with figures of one's choice, without a fit."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from relaxeq.fields import Field
from relaxeq.groups import Z2
from relaxeq.layers import RelaxedLayer
from relaxeq.recipe import FitResult, LearnedPrior
from relaxeq.recipe.convergence import Slope

Figures = list[dict[str, float]]
"""Per layer and path γ/P."""


class Network(nn.Module):
    """Relaxed 2×2 layers, then a plain linear one."""

    def __init__(self, specs: list[str]) -> None:
        super().__init__()
        field = Field(Z2(), 1, (2, 2))
        layers = [RelaxedLayer(field, field, spec, kernel_size=1) for spec in specs]
        self.layers = nn.ModuleList(layers)
        self.head = nn.Linear(4, 2)


def priors_of(net: nn.Module, figures: dict[str, tuple[float, float]]) -> tuple[LearnedPrior, ...]:
    """One prior per owner of parameters: (γ/P, α) from `figures` by its name, else (½, 1)."""
    sizes: dict[str, int] = {}
    for name, parameter in net.named_parameters():
        owner = name.rpartition(".")[0] if "paths" in name or name.endswith("value") else name
        sizes[owner] = sizes.get(owner, 0) + parameter.numel()
    found = {name: figures.get(name, (0.5, 1.0)) for name in sizes}
    return tuple(
        LearnedPrior(name, alpha, 2.0 * math.isfinite(alpha), part * sizes[name], sizes[name])
        for name, (part, alpha) in found.items()
    )


Build = Callable[..., FitResult]


@pytest.fixture
def build() -> Build:
    """build(figures, precisions=..., history=...) gives a FitResult with that γ/P."""

    def make(
        figures: Figures,
        precisions: dict[str, float] | None = None,
        history: list[dict[str, Any]] | None = None,
        metrics: dict[str, float] | None = None,
        dead: tuple[str, ...] = (),
        slope: Slope | None = None,
    ) -> FitResult:
        net = Network(["+".join(layer) for layer in figures])
        named = {
            f"layers.{number}.paths.{label}": part
            for number, layer in enumerate(figures)
            for label, part in layer.items()
        }
        alphas = precisions or {}
        values = {name: (part, alphas.get(name, 1.0)) for name, part in named.items()}
        values |= {name: (0.5, alpha) for name, alpha in alphas.items() if name not in named}
        values |= dict.fromkeys(dead, (0.0, 1.0))
        return FitResult(
            net=net,
            objective="laplace",
            evidence=-1.25,
            log_likelihood=-1.0,
            count=100,
            history=[{"epoch": 1, "train_nll": 1.0, "evidence": -1.25}]
            if history is None
            else history,
            priors=priors_of(net, values),
            metrics={"test_nll": 0.5, "test_accuracy": 0.875} if metrics is None else metrics,
            slope=slope,
        )

    return make
