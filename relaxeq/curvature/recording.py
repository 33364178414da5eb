"""Recording: the inputs and outputs of every site during one forward pass."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from relaxeq.errors import DataError, NumericsError, ShapeError
from relaxeq.likelihoods import Likelihood
from relaxeq.sites import Site, listening, network_sites, tapped

Batch = tuple[Tensor, Tensor]


@final
@dataclass
class Recording:
    """One forward pass: outputs, Σ log p(y|f), and per parameter the calls (x, z) of its site."""

    outputs: Tensor
    log_likelihood: float
    calls: dict[str, list[tuple[Tensor, Tensor]]]

    def gradients(self, column: Tensor, keep: bool) -> dict[str, list[Tensor]]:
        """∂(f·column)/∂z for every recorded z; `keep` keeps the graph for further columns.

        Only gradients of activations are computed, none of weights.
        """
        recorded = list({id(z): z for calls in self.calls.values() for _, z in calls}.values())
        found = torch.autograd.grad(
            self.outputs, recorded, column, retain_graph=keep, allow_unused=True
        )
        by_id = {id(z): g for z, g in zip(recorded, found, strict=True)}
        return {
            name: [_or_zero(by_id[id(z)], z) for _, z in calls]
            for name, calls in self.calls.items()
        }


def _or_zero(gradient: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if gradient is None else gradient


def recorded_passes(
    network: nn.Module, loader: Iterable[Batch], likelihood: Likelihood
) -> Iterator[Recording]:
    """A Recording per batch of the loader, checked; the network's mode is left as it is."""
    names = {(id(module), own): full for full, (module, own, _) in network_sites(network).items()}
    count = 0
    for batch in loader:
        inputs, targets = checked_batch(batch, network)
        calls: dict[str, list[tuple[Tensor, Tensor]]] = {}

        def listen(
            module: nn.Module,
            own: str,
            x: Tensor,
            z: Tensor,
            calls: dict[str, list[tuple[Tensor, Tensor]]] = calls,
        ) -> None:
            if (full := names.get((id(module), own))) is not None:
                calls.setdefault(full, []).append((x.detach(), z))

        with torch.enable_grad(), tapped(network), listening(listen):
            outputs = network(inputs)
        _check_outputs(outputs)
        likelihood.check(outputs, targets)
        count += len(inputs)
        value = float(likelihood.log_likelihood(outputs.detach(), targets))
        yield Recording(outputs, value, calls)
    if not count:
        raise DataError("loader gave no data: pass a loader with at least one (x, y) batch.")


def checked_batch(batch: Batch, network: nn.Module) -> Batch:
    """The batch on the network's device, refused when it is no pair or holds NaN or infinity."""
    if not (isinstance(batch, tuple | list) and len(batch) == 2):
        raise DataError(f"loader must give pairs (x, y), got {type(batch).__name__}.")
    inputs, targets = batch
    parameter = next(network.parameters(), inputs)
    inputs, targets = inputs.to(parameter.device), targets.to(parameter.device)
    if inputs.is_floating_point() and not torch.isfinite(inputs).all():
        raise DataError(
            "loader gave inputs with NaN or infinity: clean or standardise the data first."
        )
    return inputs, targets


def _check_outputs(outputs: Tensor) -> None:
    if outputs.ndim != 2:
        raise ShapeError(
            f"network must return (batch, out), got shape {tuple(outputs.shape)}: flatten its output."
        )
    if not torch.isfinite(outputs).all():
        raise NumericsError(
            "network gave NaN or infinite outputs: lower the learning rate, or check its weights."
        )


def site_table(network: nn.Module) -> dict[str, Site]:
    """{parameter name: Site} of the whole network."""
    return {full: site for full, (_, _, site) in network_sites(network).items()}
