"""One pass over the data: recordings go to one collector per parameter."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar, final

import torch
from torch import Tensor, nn

from relaxeq.curvature.batches import Batch
from relaxeq.curvature.precision import no_autocast, wide
from relaxeq.curvature.recording import Recording, recorded_passes
from relaxeq.errors import NumericsError, SpecError
from relaxeq.likelihoods import Likelihood, likelihood_from
from relaxeq.sites import Site, network_sites

Fisher = Literal["exact", "mc"]
Root = Callable[[Tensor], Tensor]


@final
@dataclass(frozen=True)
class Pass:
    """What is summed: Σ_n J_nᵀ Λ_n J_n of this likelihood, Λ exact or by one draw per datum."""

    likelihood: str | Likelihood = "classification"
    fisher: Fisher = "exact"
    generator: torch.Generator | None = None

    def root(self) -> Root:
        """The function from outputs to columns of Λ½, or to one sampled column."""
        chosen = likelihood_from(self.likelihood)
        if self.fisher == "exact":
            return chosen.hessian_root
        if self.fisher == "mc":
            return lambda outputs: chosen.sampled_root(outputs, self.generator)
        raise SpecError(f"fisher={self.fisher!r} is not 'exact' or 'mc'.")


Calls = Mapping[str, list[Tensor]]


class Receiver(ABC):
    """Running sums for a network: takes tensors by parameter, one per call of its module."""

    @abstractmethod
    def add_inputs(self, calls: Calls) -> None:
        """Take the site inputs x of one batch."""

    @abstractmethod
    def add_gradients(self, calls: Calls) -> None:
        """Take the output gradients g of that batch for one column of Λ½."""


class Collector(ABC):
    """Running sums for one parameter."""

    @abstractmethod
    def add_inputs(self, calls: list[Tensor]) -> None:
        """Take the site inputs x of one batch, one tensor per call of the module."""

    @abstractmethod
    def add_gradients(self, calls: list[Tensor]) -> None:
        """Take the output gradients g of that batch for one column of Λ½, one tensor per call."""


C = TypeVar("C", bound=Collector)
Make = Callable[[str, Site, Tensor], C]


@final
@dataclass(frozen=True)
class Totals:
    """Of one pass: Σ log p(y|f) in nats, N, and the number of entries of all outputs f."""

    log_likelihood: float
    count: int
    entries: int


@final
@dataclass(frozen=True)
class _Each(Receiver, Generic[C]):
    """A collector of its own for every parameter."""

    collectors: Mapping[str, C]

    def add_inputs(self, calls: Calls) -> None:
        for name, found in calls.items():
            self.collectors[name].add_inputs(found)

    def add_gradients(self, calls: Calls) -> None:
        for name, found in calls.items():
            self.collectors[name].add_gradients(found)


def collect(
    net: nn.Module, loader: Iterable[Batch], settings: Pass, make: Make[C]
) -> tuple[dict[str, C], Totals]:
    """Fill a collector for every trained parameter, made from its name, site and value."""
    collectors = {
        name: make(name, site, module.get_parameter(own))
        for name, (module, own, site) in network_sites(net).items()
    }
    return collectors, receive(net, loader, settings, _Each(collectors))


def receive(net: nn.Module, loader: Iterable[Batch], settings: Pass, receiver: Receiver) -> Totals:
    """Send all inputs and gradients of one pass to the receiver."""
    chosen, root = likelihood_from(settings.likelihood), settings.root()
    count, entries, log_likelihood = 0, 0, 0.0
    for recording, targets in recorded_passes(net, loader, chosen):
        outputs = recording.outputs.detach()
        count += len(outputs)
        entries += outputs.numel()
        log_likelihood += float(chosen.log_likelihood(outputs.double(), targets))
        _feed(recording, root, receiver)
    return Totals(log_likelihood, count, entries)


def _feed(recording: Recording, root: Root, receiver: Receiver) -> None:
    with torch.no_grad(), no_autocast(recording.outputs):
        columns = root(wide(recording.outputs))
        inputs = {name: [call.x for call in calls] for name, calls in recording.calls.items()}
        receiver.add_inputs(_wide(inputs))
    last = columns.shape[2] - 1
    for k in range(last + 1):
        gradients = recording.gradients(columns[:, :, k], keep=k < last)
        with torch.no_grad(), no_autocast(recording.outputs):
            receiver.add_gradients(_wide(gradients))


def _wide(calls: Calls) -> Calls:
    return {name: [wide(tensor) for tensor in found] for name, found in calls.items()}


def check_finite(name: str, *sums: Tensor) -> None:
    """Refuse sums that are not finite, by the name of their parameter."""
    extremes = (extreme for total in sums for extreme in torch.aminmax(total))  # NaN wins in both
    if not all(torch.isfinite(extreme) for extreme in extremes):
        raise NumericsError(
            f"the curvature factors of {name!r} are not finite: training has diverged; lower the "
            "learning rate or check the data."
        )
