"""The evidence as a function of hyperparameters: its gradient through the Kronecker factors."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from relaxeq.arguments import check_precision
from relaxeq.curvature import Batch, KroneckerBlock, Pass, checked_batch, estimate
from relaxeq.curvature.batches import read_again
from relaxeq.errors import NumericsError, SpecError
from relaxeq.evidence import log_marginal_likelihood
from relaxeq.likelihoods import Likelihood, likelihood_from
from relaxeq.recipe.modes import evaluating
from relaxeq.recipe.priors import PriorGroup, prior_groups, terms_of
from relaxeq.recipe.tapes import Tape, record
from relaxeq.sites import is_deterministic

Factors = tuple[Tensor, Tensor]


@final
@dataclass(frozen=True, eq=False)
class EvidenceGradient:
    """Log evidence in nats, of the whole data set, and its derivatives by parameter name."""

    evidence: float
    gradients: dict[str, Tensor]


def evidence_gradient(
    net: nn.Module,
    loader: Iterable[Batch],
    names: Sequence[str] | None = None,
    likelihood: str | Likelihood = "classification",
    precisions: Mapping[str, float] | None = None,
) -> EvidenceGradient:
    """∂ log p(D|η) / ∂ω for deterministic parameters ω, such as lengthscales of sparse paths.

    log p(D|η) ≈ Σ_n log p(y_n|x_n,θ,ω) + Σ_groups ½[P log α − α‖θ‖² − Σ log(λ(ω) + α)] (Eq. 9), λ
    the eigenvalues of the exact-Fisher KFAC blocks of all parameters of the network. The derivative
    is total in ω at fixed weights θ and precisions α: through the likelihood, through every A and G
    of the same, of later and of earlier layers, and through Λ; nothing is detached. How the optimal
    weights θ* answer to ω is left out, as for precisions.

    names: deterministic parameters (`relaxeq.deterministic`) by full name; all of them unless
    given, whether they require grad or not. precisions: α by prior group, as of
    `FitResult.priors`; those written in the paths, and 1 for plain modules, unless given. The
    loader is read twice. Evaluation mode is used.

    Costs one exact KFAC pass, an eigendecomposition with vectors, and a second pass in which each
    column of Λ½ is differentiated twice: about 5 exact KFAC passes, whatever the number of
    hyperparameters, and the memory of one batch with its second-order graph.
    """
    chosen = likelihood_from(likelihood)
    with _differentiable(_hyperparameters(net, names)) as found, evaluating(net):
        return _gradient(net, loader, found, chosen, precisions)


def _gradient(
    net: nn.Module,
    loader: Iterable[Batch],
    found: dict[str, nn.Parameter],
    likelihood: Likelihood,
    precisions: Mapping[str, float] | None,
) -> EvidenceGradient:
    groups = prior_groups(net)
    alphas = _precisions(groups, precisions or {})
    now = estimate(net, loader, Pass(likelihood))
    terms = terms_of(net, groups, now.blocks)
    evidence = log_marginal_likelihood(now.log_likelihood, terms, alphas)
    slopes = {
        name: _slopes(now.blocks[name], alphas[group.name])
        for group in groups
        if math.isfinite(alphas[group.name])
        for name in group.parameters
    }
    totals = {name: torch.zeros_like(parameter) for name, parameter in found.items()}
    for batch in read_again(loader, now.count):
        inputs, targets = checked_batch(batch, net)
        with torch.enable_grad():
            _add_batch(record(net, inputs), targets, likelihood, slopes, (found, totals))
    for name, total in totals.items():
        if not torch.isfinite(total).all():
            raise NumericsError(
                f"the derivative of the evidence by {name!r} is not finite: training has diverged, "
                "or a predicted probability is 0 to all digits; use float64."
            )
    return EvidenceGradient(evidence, totals)


def _precisions(groups: Iterable[PriorGroup], given: Mapping[str, float]) -> dict[str, float]:
    """α by prior group: those of the network, but for the given ones."""
    known = {group.name: group.precision for group in groups}
    if unknown := sorted(set(given) - set(known)):
        raise SpecError(
            f"precisions={unknown} are not prior groups of net, which are {sorted(known)}."
        )
    for name, value in given.items():
        check_precision(f"precisions[{name!r}]", value)
    return known | dict(given)


def _slopes(block: object, precision: float) -> Factors:
    """∂/∂A and ∂/∂G of −½ Σ log(1 + λ/α), λ the products of their eigenvalues and the scale."""
    assert isinstance(block, KroneckerBlock)
    a, g = (factor.detach().double().requires_grad_() for factor in block.factors)
    with torch.enable_grad():
        of_a, of_g = (torch.linalg.eigvalsh(factor).clamp_min(0.0) for factor in (a, g))
        ratios = of_g[:, :, None] * of_a[:, None, :] * (block.scale / precision)
        of_a, of_g = torch.autograd.grad(-0.5 * ratios.log1p().sum(), (a, g))
    return of_a, of_g


def _add_batch(
    tape: Tape,
    targets: Tensor,
    likelihood: Likelihood,
    slopes: Mapping[str, Factors],
    wanted: tuple[dict[str, nn.Parameter], dict[str, Tensor]],
) -> None:
    """Add to the totals what a batch has to say: likelihood and A first, then G by column."""
    first = likelihood.log_likelihood(tape.outputs, targets)
    for name, (of_a, _) in slopes.items():
        first = first + _inner(of_a, tape.input_grams(name))
    _add(first, *wanted)
    columns = likelihood.hessian_root(tape.outputs.double())  # ∂√p/∂f is infinite at p = 0
    columns = columns.to(tape.outputs)
    for k in range(columns.shape[2]):
        gradients = tape.gradients(columns[:, :, k], list(slopes))
        parts = [_inner(of_g, gradients[name]) for name, (_, of_g) in slopes.items()]
        if parts:
            _add(torch.stack(parts).sum(), *wanted)


def _inner(slope: Tensor, grams: list[Tensor]) -> Tensor:
    return sum(((slope.to(gram) * gram).sum() for gram in grams), slope.new_zeros(()))


def _add(value: Tensor, found: dict[str, nn.Parameter], totals: dict[str, Tensor]) -> None:
    if not value.requires_grad:
        return
    parameters = list(found.values())
    slopes = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
    for total, slope in zip(totals.values(), slopes, strict=True):
        if slope is not None:
            total += slope


def _hyperparameters(net: nn.Module, names: Sequence[str] | None) -> dict[str, nn.Parameter]:
    known = {
        f"{prefix}.{name}" if prefix else name: parameter
        for prefix, module in net.named_modules()
        for name, parameter in module.named_parameters(recurse=False)
        if is_deterministic(module, name)
    }
    if names is None and not known:
        raise SpecError(
            "net has no deterministic parameter to differentiate by: build sparse paths with "
            "Sparse(learn_omega=True), or mark parameters with relaxeq.deterministic."
        )
    if unknown := sorted(set(names or ()) - set(known)):
        raise SpecError(
            f"names={unknown} are not deterministic parameters of net, which are {sorted(known)}: "
            "parameters with a prior are integrated out, not hyperparameters."
        )
    return known if names is None else {name: known[name] for name in names}


@contextmanager
def _differentiable(found: dict[str, nn.Parameter]) -> Iterator[dict[str, nn.Parameter]]:
    before = {name: parameter.requires_grad for name, parameter in found.items()}
    for parameter in found.values():
        parameter.requires_grad_()
    try:
        yield found
    finally:
        for name, parameter in found.items():
            parameter.requires_grad_(before[name])
