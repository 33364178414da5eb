"""KFAC: Kronecker factors of every site, exact in the outputs or by Monte Carlo."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from relaxeq.curvature.blocks import KroneckerBlock
from relaxeq.curvature.collect import Collector, Fisher, Pass, Totals, check_finite, collect
from relaxeq.curvature.normalisation import warn_of_normalisation
from relaxeq.curvature.recording import Batch
from relaxeq.errors import SiteError
from relaxeq.likelihoods import Likelihood
from relaxeq.sites import Layout, Site, add_gram


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
    is used as it is: `net.eval()` first gives the curvature of the network that predicts.
    """
    blocks, _ = kronecker(net, loader, Pass(likelihood, fisher, generator))
    warn_of_normalisation(net)
    return blocks


def kronecker(
    net: nn.Module, loader: Iterable[Batch], settings: Pass
) -> tuple[dict[str, KroneckerBlock], Totals]:
    """`kfac` together with the totals of the same pass."""
    sums, totals = collect(net, loader, settings, _Grams)
    return {name: found.block() for name, found in sums.items()}, totals


@final
@dataclass
class _Grams(Collector):
    """Running sums of one site's Grams; several calls of a module count as more positions."""

    name: str
    site: Site
    parameter: Tensor
    inputs: Tensor | None = None
    outputs: Tensor | None = None
    rows: int = 0

    def add_inputs(self, calls: list[Tensor]) -> None:
        layout = self.site.inputs
        self.rows += sum(len(x) * layout.shared(x) for x in calls)
        for x in calls:
            self.inputs = plus(self.inputs, layout, x)

    def add_gradients(self, calls: list[Tensor]) -> None:
        for g in calls:
            self.outputs = plus(self.outputs, self.site.outputs, g)

    def block(self) -> KroneckerBlock:
        blocks, out, in_ = self.site.shape
        if self.inputs is None or self.outputs is None:  # never called: the output ignores it
            zeros = self.parameter.new_zeros
            return KroneckerBlock(self.site, zeros(blocks, in_, in_), zeros(blocks, out, out), 1.0)
        self._check(self.inputs, self.outputs)
        return KroneckerBlock(self.site, self.inputs, self.outputs, 1.0 / self.rows)

    def _check(self, inputs: Tensor, outputs: Tensor) -> None:
        blocks, out, in_ = self.site.shape
        found = (tuple(inputs.shape), tuple(outputs.shape))
        if found != ((blocks, in_, in_), (blocks, out, out)):
            raise SiteError(
                f"the site of {self.name!r} has (blocks, out, in) = {self.site.shape}, but its "
                f"layouts give Grams of shape {found[0]} (inputs) and {found[1]} (outputs): "
                "correct one."
            )
        check_finite(self.name, inputs, outputs)


def plus(total: Tensor | None, layout: Layout, tensor: Tensor) -> Tensor:
    """The running total and one more Gram."""
    if total is None:
        return layout.gram(tensor)
    add_gram(total, layout, tensor)
    return total
