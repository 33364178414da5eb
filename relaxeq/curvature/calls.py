"""Calls: one use of a parameter in a forward pass, and the gradients that reach it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge

from relaxeq.errors import SiteError


@final
@dataclass(frozen=True, eq=False)
class Call:
    """One use of a parameter: x ↦ z, and the edge of the graph on which ∂/∂z arrives.

    The edge is taken at the tap: an activation in place (`nn.ReLU(inplace=True)`) later makes z
    another value with another gradient.
    """

    x: Tensor
    z: Tensor
    edge: GradientEdge | None

    @property
    def key(self) -> tuple[int, int]:
        """Equal for calls with one gradient: weight and bias of a layer share their z."""
        return id(self.z), -1 if self.edge is None else id(self.edge.node)


def call_of(name: str, x: Tensor, z: Tensor, batch: int) -> Call:
    """A use of the parameter of that name, in a batch of so many data."""
    if len(x) != batch or len(z) != batch:
        raise SiteError(
            f"parameter {name!r} maps {len(x)} rows to {len(z)} where the network got {batch} data:"
            " a site needs the batch alone on the first axis. Keep it there (nn.Linear takes "
            "further axes between batch and features)."
        )
    return Call(x.detach(), z, get_gradient_edge(z) if z.requires_grad else None)


def edges_of(calls: Mapping[str, Sequence[Call]]) -> dict[tuple[int, int], GradientEdge]:
    """Where gradients arrive, by the key of the calls that share them."""
    every = (call for found in calls.values() for call in found)
    return {call.key: call.edge for call in every if call.edge is not None}


def gradients_of(
    outputs: Tensor,
    wanted: Sequence[Tensor] | Sequence[GradientEdge],
    column: Tensor,
    keep: bool,
) -> tuple[Tensor | None, ...]:
    """∂(f·column)/∂ of everything that is wanted, None where f ignores it."""
    try:
        return torch.autograd.grad(outputs, wanted, column, retain_graph=keep, allow_unused=True)
    except RuntimeError as error:
        if "use_reentrant" not in str(error):
            raise
        raise reentrant_error() from error


def or_zero(gradient: Tensor | None, like: Tensor) -> Tensor:
    """The gradient, which is 0 where f ignores what it is of."""
    return torch.zeros_like(like) if gradient is None else gradient


def reentrant_error() -> SiteError:
    """What to write in the place of a checkpoint that hides its inside."""
    return SiteError(
        "network uses torch.utils.checkpoint with use_reentrant=True, in which no gradient reaches "
        "the sites: write use_reentrant=False."
    )


def is_reentrant(outputs: Tensor) -> bool:
    """Whether a part of the graph is a checkpoint that hides what is inside."""
    waiting, seen = [outputs.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        if node.name() == "CheckpointFunctionBackward":
            return True
        seen.add(node)
        waiting += [following for following, _ in node.next_functions]
    return False
