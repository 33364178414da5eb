"""KFAC: Kronecker factors of every site, exact in the outputs or by Monte Carlo."""

from collections.abc import Iterable, Mapping
from typing import final

import torch
from torch import Tensor, nn

from relaxeq.curvature.batches import Batch
from relaxeq.curvature.blocks import KroneckerBlock
from relaxeq.curvature.collect import Calls, Fisher, Pass, Receiver, Totals, check_finite, receive
from relaxeq.curvature.grams import Sums
from relaxeq.curvature.normalisation import warn_of_normalisation
from relaxeq.curvature.spectra import Spectra
from relaxeq.likelihoods import Likelihood
from relaxeq.sites import Site, network_sites


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
    sites = {name: site for name, (_, _, site) in network_sites(net).items()}
    grams = _Grams(sites)
    totals = receive(net, loader, settings, grams)
    spectra = Spectra()
    parameters = dict(net.named_parameters())
    return {name: grams.block(name, parameters[name], spectra) for name in sites}, totals


@final
class _Grams(Receiver):
    """Running sums of all sites' Grams; several calls of a module count as more positions."""

    def __init__(self, sites: Mapping[str, Site]) -> None:
        self.sites = sites
        self.inputs, self.outputs = Sums(), Sums()
        self.rows = dict.fromkeys(sites, 0)

    def add_inputs(self, calls: Calls) -> None:
        for name, found in calls.items():
            layout = self.sites[name].inputs
            self.rows[name] += sum(len(x) * layout.shared(x) for x in found)
        self.inputs.add({name: (self.sites[name].inputs, found) for name, found in calls.items()})

    def add_gradients(self, calls: Calls) -> None:
        self.outputs.add({name: (self.sites[name].outputs, g) for name, g in calls.items()})

    def block(self, name: str, parameter: Tensor, spectra: Spectra) -> KroneckerBlock:
        site = self.sites[name]
        blocks, out, in_ = site.shape
        inputs, outputs = self.inputs.of(name), self.outputs.of(name)
        if inputs is None or outputs is None:  # never called: the output ignores it
            zeros = parameter.new_zeros
            return KroneckerBlock(site, zeros(blocks, in_, in_), zeros(blocks, out, out), 1.0)
        check_finite(name, inputs, outputs)
        return KroneckerBlock(site, inputs, outputs, 1.0 / self.rows[name], spectra)
