"""Options of a fit: a frozen value that prints, compares and travels in checkpoints."""

from dataclasses import asdict, dataclass, field
from typing import Any, final

from relaxeq.curvature import Fisher
from relaxeq.errors import SpecError
from relaxeq.evidence import MacKay, Update
from relaxeq.likelihoods import Likelihood

OBJECTIVES = ("laplace", "map")


@final
@dataclass(frozen=True)
class Options:
    """How `relaxeq.fit` trains (App. F.6); the defaults suit small data sets.

    lr              Adam's learning rate of the weights, cosine-annealed to 0
    burn_in         epochs before the first update of prior precisions
    update_every    epochs between updates
    update          how precisions move: MacKay() or Adam(lr=0.1) of relaxeq.evidence
    fisher          curvature of updates: "mc" (one draw per datum) or "exact" (all classes)
    final_fisher    curvature of the evidence and table at the end
    evaluate_every  epochs between evaluations on the test loader
    likelihood      "classification", "regression" or a Likelihood
    seed            makes a run repeatable: epoch orders, dropout, Monte-Carlo labels
    progress        a progress bar on the terminal
    """

    lr: float = 0.01
    burn_in: int = 10
    update_every: int = 5
    update: Update = field(default_factory=MacKay)
    fisher: Fisher = "mc"
    final_fisher: Fisher = "exact"
    evaluate_every: int = 5
    likelihood: str | Likelihood = "classification"
    seed: int = 0
    progress: bool = True

    def __post_init__(self) -> None:
        if not self.lr > 0:
            raise SpecError(f"lr={self.lr} must be positive.")
        for name in ("update_every", "evaluate_every"):
            if getattr(self, name) < 1:
                raise SpecError(f"{name}={getattr(self, name)} must be at least 1 epoch.")
        if self.burn_in < 0:
            raise SpecError(f"burn_in={self.burn_in} must not be negative.")

    def record(self) -> dict[str, Any]:
        """What a checkpoint must agree with to be continued, as plain JSON values."""
        values = asdict(self) | {"update": repr(self.update), "likelihood": repr(self.likelihood)}
        values.pop("progress")
        return values


def check_objective(objective: str, epochs: int) -> None:
    if objective not in OBJECTIVES:
        raise SpecError(f"objective={objective!r} must be 'laplace' or 'map'.")
    if not isinstance(epochs, int) or epochs < 1:
        raise SpecError(f"epochs={epochs!r} must be a positive integer.")
