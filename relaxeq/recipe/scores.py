"""Scores of predictions beside the NLL, by likelihood."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from torch import Tensor

from relaxeq.likelihoods import Bernoulli, Categorical, Gaussian, LearnedGaussian, Likelihood


@final
@dataclass(frozen=True)
class Score:
    """A name, a value per datum (batch,) that is averaged over the data, and what follows then."""

    name: str
    values: Callable[[Tensor, Tensor], Tensor]
    finish: Callable[[float], float] = float


def _right(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.argmax(1) == targets).double()


def _right_labels(outputs: Tensor, targets: Tensor) -> Tensor:
    return ((outputs > 0) == (targets > 0)).double().mean(1)


def _squares(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).double().square().mean(1)


RMSE = Score("rmse", _squares, lambda mean: mean**0.5)
SCORES: dict[type[Likelihood], Score] = {
    Categorical: Score("accuracy", _right),
    Bernoulli: Score("accuracy", _right_labels),
    Gaussian: RMSE,
    LearnedGaussian: RMSE,
}
"""Accuracy of classes in [0, 1], of labels at the threshold p = ½; root mean squared error."""


def score_of(likelihood: Likelihood) -> Score | None:
    """The score of a likelihood, None for counts and for those of users."""
    return SCORES.get(type(likelihood))
