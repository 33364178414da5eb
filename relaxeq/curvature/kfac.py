"""KFAC: Kronecker factors of every site, exact in the outputs or by Monte Carlo."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor, nn

from relaxeq.curvature.kronecker import KroneckerBlock
from relaxeq.curvature.recording import Batch, Recording, recorded_passes
from relaxeq.errors import NumericsError, SiteError, SpecError
from relaxeq.likelihoods import Likelihood, likelihood_from
from relaxeq.sites import Site, network_sites

Fisher = Literal["exact", "mc"]
Root = Callable[[Tensor], Tensor]


@final
@dataclass(frozen=True, eq=False)
class Estimate:
    """One pass over the data: curvature blocks, Σ log p(y|f) in nats, and N."""

    blocks: dict[str, KroneckerBlock]
    log_likelihood: float
    count: int


def kfac(
    net: nn.Module,
    loader: Iterable[Batch],
    likelihood: str | Likelihood = "classification",
    fisher: Fisher = "exact",
    generator: torch.Generator | None = None,
) -> dict[str, KroneckerBlock]:
    """The KFAC approximation of the Gauss–Newton matrix, {parameter name: KroneckerBlock}.

    H = Σ_n J_nᵀ Λ_n J_n is summed over the loader (nats, not averaged) and approximated for each
    parameter as ⊕_b A_b ⊗ G_b/(N S) (§5, App. C; "expand" for shared positions).
    `fisher="exact"` uses all columns of Λ½ (one backward pass per class), "mc" one label drawn from
    the model per datum (one backward pass; pass `generator` to repeat it). Parameters that do not
    require grad are left out; those without a site raise SiteError. The network's train/eval mode
    is used as it is.
    """
    return estimate(net, loader, likelihood, fisher, generator).blocks


def estimate(
    net: nn.Module,
    loader: Iterable[Batch],
    likelihood: str | Likelihood = "classification",
    fisher: Fisher = "exact",
    generator: torch.Generator | None = None,
) -> Estimate:
    """`kfac` together with the log likelihood of the same pass."""
    chosen = likelihood_from(likelihood)
    root = _root(chosen, fisher, generator)
    sums = {
        name: _Sums(site, module.get_parameter(own))
        for name, (module, own, site) in network_sites(net).items()
    }
    count, log_likelihood = 0, 0.0
    for recording in recorded_passes(net, loader, chosen):
        count += len(recording.outputs)
        log_likelihood += recording.log_likelihood
        _accumulate(recording, root, sums)
    blocks = {name: total.block(name) for name, total in sums.items()}
    return Estimate(blocks, log_likelihood, count)


def _root(likelihood: Likelihood, fisher: Fisher, generator: torch.Generator | None) -> Root:
    if fisher == "exact":
        return likelihood.hessian_root
    if fisher == "mc":
        return lambda outputs: likelihood.sampled_root(outputs, generator)
    raise SpecError(f"fisher={fisher!r} is not 'exact' or 'mc'.")


def _accumulate(recording: Recording, root: Root, sums: dict[str, "_Sums"]) -> None:
    with torch.no_grad():
        columns = root(recording.outputs)
        for name, calls in recording.calls.items():
            sums[name].add_inputs([call.x for call in calls])
    last = columns.shape[2] - 1
    for k in range(last + 1):
        gradients = recording.gradients(columns[:, :, k], keep=k < last)
        with torch.no_grad():
            for name, found in gradients.items():
                sums[name].add_gradients(found)


@final
@dataclass
class _Sums:
    """Running sums of one site's Grams; several calls of a module count as more positions."""

    site: Site
    parameter: Tensor
    inputs: Tensor | None = None
    outputs: Tensor | None = None
    rows: int = 0

    def add_inputs(self, calls: list[Tensor]) -> None:
        layout = self.site.inputs
        self.rows += sum(len(x) * layout.shared(x) for x in calls)
        self.inputs = _plus(self.inputs, [layout.gram(x) for x in calls])

    def add_gradients(self, calls: list[Tensor]) -> None:
        self.outputs = _plus(self.outputs, [self.site.outputs.gram(g) for g in calls])

    def block(self, name: str) -> KroneckerBlock:
        blocks, out, in_ = self.site.shape
        if self.inputs is None or self.outputs is None:  # never called: the output ignores it
            zeros = self.parameter.new_zeros
            return KroneckerBlock(self.site, zeros(blocks, in_, in_), zeros(blocks, out, out), 1.0)
        self._check(name, self.inputs, self.outputs)
        return KroneckerBlock(self.site, self.inputs, self.outputs, 1.0 / self.rows)

    def _check(self, name: str, inputs: Tensor, outputs: Tensor) -> None:
        blocks, out, in_ = self.site.shape
        found = (tuple(inputs.shape), tuple(outputs.shape))
        if found != ((blocks, in_, in_), (blocks, out, out)):
            raise SiteError(
                f"the site of {name!r} has (blocks, out, in) = {self.site.shape}, but its layouts "
                f"give Grams of shape {found[0]} (inputs) and {found[1]} (outputs): correct one."
            )
        if not (torch.isfinite(inputs).all() and torch.isfinite(outputs).all()):
            raise NumericsError(
                f"the curvature factors of {name!r} are not finite: training has diverged; lower "
                "the learning rate or check the data."
            )


def _plus(total: Tensor | None, terms: list[Tensor]) -> Tensor:
    fresh = sum(terms[1:], terms[0])
    return fresh if total is None else total + fresh
