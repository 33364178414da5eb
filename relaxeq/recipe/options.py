"""Options of a fit: a frozen value that prints, compares and travels in checkpoints."""

import math
import re
import warnings
from dataclasses import dataclass, fields
from typing import Any, final, get_args

from torch import nn
from torch.nn.parameter import UninitializedParameter

from relaxeq.curvature import Fisher, Flavour, check_flavour
from relaxeq.errors import EvidenceWarning, SpecError
from relaxeq.evidence import Adam, Update
from relaxeq.likelihoods import Likelihood, likelihood_from

OBJECTIVES = ("laplace", "map")
FISHERS = get_args(Fisher)
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
MANY = 10**12  # seeds derived from an option fit in 64 bits
TEXTS = ("update", "likelihood", "curvature", "final_curvature")


@final
@dataclass(frozen=True)
class Options:
    """How `relaxeq.fit` trains (App. F.6); the defaults suit small data sets.

    lr              Adam's learning rate of the weights, cosine-annealed to 0
    burn_in         epochs before the first update of prior precisions
    update_every    epochs between updates
    update          how precisions move: Adam(steps=20), or MacKay(), which decides early
    curvature       flavour of curvature, see relaxeq.curvature.estimate: "kfac", "corrected", …, or
                    Subset(1000) or Bound() of relaxeq.curvature, which see a part of the data
    final_curvature that of the evidence and table at the end, the same if None
    fisher          its columns in updates: "mc" (one draw per datum) or "exact" (all classes)
    final_fisher    its columns in the evidence and table at the end
    evaluate_every  epochs between evaluations on the test loader
    likelihood      "classification", "regression" or a Likelihood
    seed            makes a run repeatable: epoch orders, dropout, Monte-Carlo labels
    progress        a progress bar on the terminal
    """

    lr: float = 0.01
    burn_in: int = 10
    update_every: int = 5
    update: Update = Adam(lr=0.1, steps=20)
    curvature: str | Flavour = "kfac"
    final_curvature: str | Flavour | None = None
    fisher: Fisher = "mc"
    final_fisher: Fisher = "exact"
    evaluate_every: int = 5
    likelihood: str | Likelihood = "classification"
    seed: int = 0
    progress: bool = True

    def __post_init__(self) -> None:
        if not (_is(self.lr, float, int) and 0 < self.lr < math.inf):
            raise SpecError(f"lr={self.lr!r} must be a positive, finite number.")
        self._check_whole("burn_in", 0, MANY)
        self._check_whole("update_every", 1, MANY)
        self._check_whole("evaluate_every", 1, MANY)
        self._check_whole("seed", -MANY, MANY)
        for name in ("fisher", "final_fisher"):
            if getattr(self, name) not in FISHERS:
                raise SpecError(f"{name}={getattr(self, name)!r} must be 'mc' or 'exact'.")
        if not isinstance(self.update, Update):
            raise SpecError(
                f"update={self.update!r} must be an Update: write MacKay() or Adam() of "
                "relaxeq.evidence."
            )
        check_flavour(self.curvature)
        if self.final_curvature is not None:
            check_flavour(self.final_curvature)
        likelihood_from(self.likelihood)

    def _check_whole(self, name: str, least: int, most: int) -> None:
        value = getattr(self, name)
        if not (_is(value, int) and least <= value <= most):
            raise SpecError(f"{name}={value!r} must be a whole number from {least} to {most}.")

    def plain(self) -> dict[str, Any]:
        """All but `progress` as JSON values: what is no number or name becomes its text."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "progress"}
        for name in TEXTS:
            if values[name] is not None and not isinstance(values[name], str):
                values[name] = repr(values[name])
        return values

    def record(self) -> dict[str, Any]:
        """What a checkpoint must agree with to be continued, as plain JSON values.

        Raises SpecError for a value whose text is another in every process.
        """
        values = self.plain()
        for name in TEXTS:
            if ADDRESS.search(values[name] or ""):
                raise SpecError(
                    f"{name}={values[name]} says nothing that a resumed run could be compared by: "
                    "make its class a frozen dataclass, or give it a __repr__ of its settings."
                )
        return values


def check_arguments(net: nn.Module, epochs: int, objective: str, options: Options) -> None:
    """Raise SpecError unless `fit` can take these; warn if it would learn no precision."""
    if not isinstance(net, nn.Module):
        raise SpecError(f"net={type(net).__name__}(...) must be a torch.nn.Module.")
    if any(isinstance(parameter, UninitializedParameter) for parameter in net.parameters()):
        raise SpecError("net has lazy parameters without a shape yet: write net(x) once before.")
    if not (_is(epochs, int) and epochs >= 1):
        raise SpecError(f"epochs={epochs!r} must be a positive integer.")
    if objective not in OBJECTIVES:
        raise SpecError(f"objective={objective!r} must be 'laplace' or 'map'.")
    if not isinstance(options, Options):
        raise SpecError(f"options={options!r} must be relaxeq.recipe.Options(...), or None.")
    first = options.burn_in + options.update_every
    if objective == "laplace" and epochs < first:
        warnings.warn(
            f"epochs={epochs} end before the first update of prior precisions, in epoch burn_in + "
            f"update_every = {first}: this is a MAP run at the given precisions. Train longer, "
            'lower burn_in, or write objective="map".',
            EvidenceWarning,
            stacklevel=3,
        )


def _is(value: object, *kinds: type) -> bool:
    """Whether a value is of these kinds; True and False are no numbers."""
    return isinstance(value, kinds) and not isinstance(value, bool)
