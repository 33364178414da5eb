"""What a fit returns, and the record of a prior group that tables are made from."""

from dataclasses import dataclass, field
from typing import Any, final

from torch import nn

from relaxeq.errors import SpecError
from relaxeq.evidence import Term
from relaxeq.likelihoods import Categorical, Likelihood
from relaxeq.recipe.convergence import Slope
from relaxeq.recipe.priors import PriorGroup

History = list[dict[str, Any]]


@final
@dataclass(frozen=True)
class LearnedPrior:
    """A prior group after learning (App. D): α, ‖θ‖², γ = Σ λ/(λ+α) and P."""

    name: str
    precision: float
    squared_norm: float
    effective_parameters: float
    size: int


@final
@dataclass(frozen=True, eq=False)
class FitResult:
    """A trained network and what was learned of its priors.

    `evidence` is log p(D|η)/N in nats per datum (higher is better), from `final_fisher` curvature
    at the last weights; `history` has one dict per epoch; `priors` one entry per path, bias or
    plain parameter; `metrics` the last test NLL (nats per datum) and accuracy or RMSE, empty
    without test data; `likelihood` the one trained with, its noise as learned; `slope`
    that of log p(D, θ) at the last weights; `settings` those of the fit. Its text leaves out the
    network, the epochs and the settings.
    """

    net: nn.Module = field(repr=False)
    objective: str
    evidence: float
    log_likelihood: float
    count: int
    history: History = field(repr=False)
    priors: tuple[LearnedPrior, ...]
    metrics: dict[str, float]
    likelihood: Likelihood = Categorical()
    slope: Slope | None = None
    settings: dict[str, Any] = field(default_factory=dict, repr=False)

    def prior(self, name: str) -> LearnedPrior:
        """The prior group of that name, such as "layers.0.paths.CONV"."""
        named = {found.name: found for found in self.priors}
        if name not in named:
            raise SpecError(f"name={name!r} is not a prior of this network: it has {list(named)}.")
        return named[name]


def learned_priors(
    groups: tuple[PriorGroup, ...], terms: dict[str, Term], precisions: dict[str, float]
) -> tuple[LearnedPrior, ...]:
    """One record per group, in the network's order."""
    return tuple(
        LearnedPrior(
            group.name,
            precisions[group.name],
            terms[group.name].squared_norm,
            # γ of a bound may exceed P, of which it says nothing
            min(
                terms[group.name].effective_parameters(precisions[group.name]),
                float(terms[group.name].size),
            ),
            terms[group.name].size,
        )
        for group in groups
    )
