"""Recording: the inputs and outputs of every site during one forward pass."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from relaxeq.curvature.batches import (
    Batch,
    batches,
    check_count,
    check_outputs,
    checked_batch,
)
from relaxeq.curvature.precision import wide
from relaxeq.errors import SiteError
from relaxeq.likelihoods import Likelihood
from relaxeq.sites import (
    FastCircularPad,
    Site,
    activations_only,
    channels_last,
    listening,
    network_sites,
    tapped,
)

Sites = dict[str, tuple[nn.Module, str, Site]]


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


@final
@dataclass
class Recording:
    """One forward pass: outputs, Σ log p(y|f), and per parameter the calls of its site."""

    outputs: Tensor
    log_likelihood: float
    calls: dict[str, list[Call]]

    def gradients(self, column: Tensor, keep: bool) -> dict[str, list[Tensor]]:
        """∂(f·column)/∂z for every recorded z; `keep` keeps the graph for further columns.

        Only gradients of activations are computed, none of weights.
        """
        every = [call for calls in self.calls.values() for call in calls]
        edges = {call.key: call.edge for call in every if call.edge is not None}
        if not edges:
            return {
                name: [torch.zeros_like(c.z) for c in calls] for name, calls in self.calls.items()
            }
        with activations_only():
            found = _gradients(self.outputs, list(edges.values()), column.to(self.outputs), keep)
        by_key = dict(zip(edges, found, strict=True))
        return {
            name: [_or_zero(by_key.get(call.key), call.z) for call in calls]
            for name, calls in self.calls.items()
        }


def _gradients(
    outputs: Tensor,
    wanted: Sequence[Tensor] | Sequence[GradientEdge],
    column: Tensor,
    keep: bool,
) -> tuple[Tensor | None, ...]:
    try:
        return torch.autograd.grad(outputs, wanted, column, retain_graph=keep, allow_unused=True)
    except RuntimeError as error:
        if "use_reentrant" not in str(error):
            raise
        raise _reentrant_error() from error


def _reentrant_error() -> SiteError:
    return SiteError(
        "network uses torch.utils.checkpoint with use_reentrant=True, in which no gradient reaches "
        "the sites: write use_reentrant=False."
    )


def _is_reentrant(outputs: Tensor) -> bool:
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


def _or_zero(gradient: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if gradient is None else gradient


def _call(name: str, x: Tensor, z: Tensor, batch: int) -> Call:
    if len(x) != batch or len(z) != batch:
        raise SiteError(
            f"parameter {name!r} maps {len(x)} rows to {len(z)} where the network got {batch} data:"
            " a site needs the batch alone on the first axis. Keep it there (nn.Linear takes "
            "further axes between batch and features)."
        )
    return Call(x.detach(), z, get_gradient_edge(z) if z.requires_grad else None)


def recorded_passes(
    network: nn.Module, loader: Iterable[Batch], likelihood: Likelihood
) -> Iterator[Recording]:
    """A Recording per batch of the loader, checked; the network's mode is left as it is."""
    sites = network_sites(network)
    count, arranged = 0, channels_last
    for batch in batches(loader):
        inputs, targets = checked_batch(batch, network)
        try:
            outputs, calls = recorded(network, arranged(inputs), sites)
        except RuntimeError:
            if arranged is as_given:
                raise
            arranged = as_given  # a forward that takes .view of pixels needs them in order
            outputs, calls = recorded(network, inputs, sites)
        likelihood.check(outputs, targets)
        _check_uncalled(outputs, sites, calls)
        count += len(inputs)
        value = float(likelihood.log_likelihood(wide(outputs.detach()), targets))
        yield Recording(outputs, value, calls)
    check_count(count)


def as_given(x: Tensor) -> Tensor:
    """Inputs as the loader gave them."""
    return x


def recorded(
    network: nn.Module, inputs: Tensor, sites: Sites
) -> tuple[Tensor, dict[str, list[Call]]]:
    """Outputs of one forward pass, checked, and the calls of every site on the way."""
    names = {(id(module), own): full for full, (module, own, _) in sites.items()}
    calls: dict[str, list[Call]] = {}

    def listen(module: nn.Module, own: str, x: Tensor, z: Tensor) -> None:
        if (full := names.get((id(module), own))) is not None:
            calls.setdefault(full, []).append(_call(full, x, z, len(inputs)))

    with torch.enable_grad(), tapped(network), listening(listen), FastCircularPad():
        outputs = network(inputs)
    check_outputs(outputs)
    return outputs, calls


def _check_uncalled(outputs: Tensor, sites: Sites, calls: dict[str, list[Call]]) -> None:
    """A parameter whose module was not called must not touch the outputs in another way."""
    silent = {
        name: m.get_parameter(own)
        for name, (m, own, _) in sites.items()
        if all(call.edge is None for call in calls.get(name, []))
    }
    if not silent or not outputs.requires_grad:
        return
    if _is_reentrant(outputs):
        raise _reentrant_error()
    found = _gradients(outputs, list(silent.values()), torch.ones_like(outputs), keep=True)
    for name, gradient in zip(silent, found, strict=True):
        if gradient is not None:
            raise SiteError(
                f"parameter {name!r} acts on the outputs, but its module was not called, so its "
                "curvature is unknown: call the module, or relaxeq.tap the use of the parameter."
            )
