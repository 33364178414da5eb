"""Recording: the inputs and outputs of every site during one forward pass."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from relaxeq.curvature.batches import (
    Batch,
    batches,
    check_count,
    check_outputs,
    checked_batch,
)
from relaxeq.curvature.calls import Call, call_of, gradients_of, or_zero
from relaxeq.curvature.uses import Sites, check_uses
from relaxeq.likelihoods import Likelihood
from relaxeq.sites import (
    FastCircularPad,
    activations_only,
    channels_last,
    listening,
    network_sites,
    tapped,
)


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
            found = gradients_of(self.outputs, list(edges.values()), column.to(self.outputs), keep)
        by_key = dict(zip(edges, found, strict=True))
        return {
            name: [or_zero(by_key.get(call.key), call.z) for call in calls]
            for name, calls in self.calls.items()
        }


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
        check_uses(outputs, sites, calls, everything=not count)
        count += len(inputs)
        value = float(likelihood.log_likelihood(outputs.detach().double(), targets))
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
            calls.setdefault(full, []).append(call_of(full, x, z, len(inputs)))

    with torch.enable_grad(), tapped(network), listening(listen), FastCircularPad():
        outputs = network(inputs)
    check_outputs(outputs)
    return outputs, calls
