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
from relaxeq.curvature.calls import Call, call_of, edges_of, gradients_of, or_zero
from relaxeq.curvature.normalisation import ties_data
from relaxeq.curvature.uses import check_uses
from relaxeq.likelihoods import Likelihood
from relaxeq.sites import (
    FastCircularPad,
    Sites,
    Wanted,
    channels_last,
    hearing,
    network_sites,
)


@final
@dataclass
class Recording:
    """One forward pass: outputs, and per parameter the calls of its site."""

    outputs: Tensor
    calls: dict[str, list[Call]]
    wanted: Wanted

    def gradients(self, column: Tensor, keep: bool) -> dict[str, list[Tensor]]:
        """∂(f·column)/∂z for every recorded z; `keep` keeps the graph for further columns.

        Only gradients of activations are computed, none of weights.
        """
        edges, column = edges_of(self.calls), column.to(self.outputs)
        with self.wanted.activations_only():
            found = gradients_of(self.outputs, list(edges.values()), column, keep) if edges else ()
        by_key = dict(zip(edges, found, strict=True))
        return {
            name: [or_zero(by_key.get(call.key), call.z) for call in calls]
            for name, calls in self.calls.items()
        }


def recorded_passes(
    network: nn.Module, loader: Iterable[Batch], likelihood: Likelihood
) -> Iterator[tuple[Recording, Tensor]]:
    """A Recording per batch of the loader, checked, with its targets; modes stay as they are."""
    sites = network_sites(network)
    count, arranged, apart = 0, channels_last, not ties_data(network)
    for batch in batches(loader):
        inputs, targets = checked_batch(batch, network)
        try:
            recording = recorded(network, arranged(inputs), sites)
        except RuntimeError:
            if arranged is as_given:
                raise
            arranged = as_given  # a forward that takes .view of pixels needs them in order
            recording = recorded(network, inputs, sites)
        likelihood.check(recording.outputs, targets)
        check_uses(recording.outputs, sites, recording.calls, everything=not count, apart=apart)
        count += len(inputs)
        yield recording, targets
    check_count(count)


def as_given(x: Tensor) -> Tensor:
    """Inputs as the loader gave them."""
    return x


def recorded(network: nn.Module, inputs: Tensor, sites: Sites) -> Recording:
    """One forward pass, its outputs checked."""
    calls: dict[str, list[Call]] = {}

    def take(name: str, x: Tensor, z: Tensor) -> None:
        calls.setdefault(name, []).append(call_of(name, x, z, len(inputs)))

    with torch.enable_grad(), hearing(network, sites, take) as wanted, FastCircularPad():
        outputs = network(inputs)
    check_outputs(outputs)
    return Recording(outputs, calls, wanted)
