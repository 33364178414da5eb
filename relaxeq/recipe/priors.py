"""Prior groups: which parameters share a precision, and what the evidence sees of them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from relaxeq.curvature import Spectrum
from relaxeq.evidence import Term
from relaxeq.paths import Gauged, GaussianModule, Path
from relaxeq.sites import network_sites


@final
@dataclass(frozen=True)
class PriorGroup:
    """Parameters under one prior N(0, α⁻¹ I): those of a path or bias, or one of a plain module."""

    name: str
    parameters: tuple[str, ...]
    precision: float


def prior_groups(net: nn.Module) -> tuple[PriorGroup, ...]:
    """The groups of all trained parameters; plain modules start at precision 1.

    Raises SiteError for a parameter that has neither a site nor the mark `deterministic`.
    """
    owners: dict[str, tuple[list[str], float]] = {}
    for full, (module, own, _) in network_sites(net).items():
        if isinstance(module, GaussianModule):
            owner, precision = full[: -len(own) - 1] or module.label, module.prior_precision
        else:
            owner, precision = full, 1.0
        owners.setdefault(owner, ([], precision))[0].append(full)
    return tuple(
        PriorGroup(name, tuple(parameters), precision)
        for name, (parameters, precision) in owners.items()
    )


def write_precisions(net: nn.Module, precisions: Mapping[str, float]) -> None:
    """Store the precisions of paths and biases as their prior variances.

    A precision that did not move leaves σ² as it is, to the last bit: 1/(1/σ²) need not be σ².
    """
    for name, module in net.named_modules():
        if isinstance(module, GaussianModule):
            precision = precisions.get(name or module.label, module.prior_precision)
            if precision != module.prior_precision:
                module.prior_variance = 1.0 / precision


def balance(net: nn.Module) -> None:
    """Bring factored paths that are on to their least ‖θ‖²: no output changes, the prior rises."""
    for module in net.modules():
        if isinstance(module, Gauged) and not (isinstance(module, Path) and module.off):
            module.balance_()


@torch.no_grad()
def terms_of(
    net: nn.Module, groups: tuple[PriorGroup, ...], blocks: Mapping[str, Spectrum]
) -> dict[str, Term]:
    """What the evidence asks of each group: its eigenvalues and squared norm."""
    values = dict(net.named_parameters())
    return {group.name: _term(group, values, blocks) for group in groups}


def _term(group: PriorGroup, values: Mapping[str, Tensor], blocks: Mapping[str, Spectrum]) -> Term:
    own = [blocks[name] for name in group.parameters]
    spectra = torch.cat([block.eigenvalues() for block in own])
    norm = sum(float(values[name].double().square().sum()) for name in group.parameters)
    if math.isinf(group.precision):  # off: the weights it keeps play no part
        norm = 0.0
    return Term(spectra, norm, own[0].weight, sum(block.size for block in own))
