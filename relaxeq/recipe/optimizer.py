"""Adam on the likelihood, and an exact step on the prior: stable for any precision."""

import math
from collections.abc import Mapping
from typing import final

import torch
from torch import nn

from relaxeq.errors import SiteError, SpecError
from relaxeq.recipe.priors import PriorGroup


@final
class ProximalAdam:
    """Minimises −log p(D|θ)/N + Σ α‖θ‖²/(2N): Adam on the first, a proximal step on the second.

    After Adam's step with preconditioner 1/(√v̂ + ε) each weight is divided by
    1 + lr·(α/N)/(√v̂ + ε), the exact minimiser of its prior term in that metric. The fixed point is
    the MAP estimate, as with the prior in the loss, but a precision of 10⁸ shrinks weights to 0
    instead of making Adam oscillate with steps of size lr.
    """

    def __init__(
        self, net: nn.Module, groups: tuple[PriorGroup, ...], count: int, lr: float
    ) -> None:
        self.parameters = {n: p for n, p in net.named_parameters() if p.requires_grad}
        if not self.parameters:
            raise SpecError("net has no parameter that requires grad: write net.requires_grad_().")
        self.count = count
        self.adam = torch.optim.Adam(list(self.parameters.values()), lr=lr)
        self.adam.zero_grad(set_to_none=True)  # of what ran before: it is no part of this run
        self.owner = {name: group.name for group in groups for name in group.parameters}

    def step(self, lr: float, precisions: Mapping[str, float]) -> None:
        """One step with the gradients of −log p(D|θ)/N that `backward` left."""
        for group in self.adam.param_groups:
            group["lr"] = lr
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                if name in self.owner:
                    self._shrink(parameter, lr * precisions[self.owner[name]] / self.count)

    def _shrink(self, parameter: nn.Parameter, strength: float) -> None:
        state = self.adam.state.get(parameter)
        if not state:  # the path is off, or the loss does not reach it
            return
        _, beta = self.adam.param_groups[0]["betas"]
        debias = 1 - beta ** float(state["step"])
        scale = (state["exp_avg_sq"] / debias).sqrt_().add_(self.adam.param_groups[0]["eps"])
        parameter.mul_(scale).div_(scale.add_(strength))

    def check_reached(self, precisions: Mapping[str, float]) -> None:
        """Refuse a weight with a prior that no loss so far depended on, unless its path is off.

        Its MAP estimate is 0, but no gradient ever moves it there, so that a learned precision
        would shrink its prior around a weight that stays, and the evidence would be meaningless.
        """
        for name, parameter in self.parameters.items():
            prior = precisions[self.owner[name]] if name in self.owner else math.inf
            if math.isfinite(prior) and not self.adam.state.get(parameter):
                raise SiteError(
                    f"parameter {name!r} never reached the loss, so nothing can be learned of its "
                    "prior: use its module, or write requires_grad_(False) on it."
                )

    def state(self) -> dict[str, torch.Tensor]:
        """Moments and step counts by parameter name, for a checkpoint."""
        return {
            f"{key}/{name}": value
            for name, parameter in self.parameters.items()
            for key, value in self.adam.state.get(parameter, {}).items()
        }

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Restore what `state` returned."""
        for key, value in state.items():
            kind, name = key.split("/", 1)
            parameter = self.parameters[name]
            kept = value.clone() if kind == "step" else value.to(parameter).clone()
            self.adam.state[parameter][kind] = kept
