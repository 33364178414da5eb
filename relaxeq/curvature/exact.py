"""The exact Gauss–Newton matrix by brute force: the slow truth behind every approximation."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from relaxeq.curvature.batches import Batch, batches, check_count, check_outputs, checked_batch
from relaxeq.curvature.normalisation import ties_data
from relaxeq.curvature.precision import wide
from relaxeq.curvature.uses import lost_graph
from relaxeq.errors import SpecError
from relaxeq.likelihoods import Likelihood, likelihood_from
from relaxeq.shapes import Matrix
from relaxeq.sites import check_module

LIMIT = 20_000


def exact_ggn(
    net: nn.Module,
    loader: Iterable[Batch],
    likelihood: str | Likelihood = "classification",
) -> dict[str, Matrix]:
    """Σ_n J_nᵀ Λ_n J_n per parameter, {name: (P, P)} in the order of parameter.flatten().

    Every Jacobian is formed by backward passes, one datum and one output at a time, without any
    use of sites: cost N·K backward passes and P² memory per parameter. Summed over the loader, in
    nats. Parameters of more than 20,000 entries are refused, and a BatchNorm that takes the
    statistics of a batch, with which no Jacobian of one datum exists.
    """
    check_module(net)
    chosen = likelihood_from(likelihood)
    named = {name: p for name, p in net.named_parameters() if p.requires_grad}
    for name, parameter in named.items():
        if parameter.numel() > LIMIT:
            raise SpecError(
                f"parameter {name!r} has {parameter.numel()} entries; exact_ggn forms a dense "
                f"matrix and takes at most {LIMIT}. Use kfac, or a smaller network."
            )
    if not named:
        return {}
    if ties_data(net):
        raise SpecError(
            "net has a BatchNorm that takes the statistics of its batch, so that no datum has a "
            "Jacobian of its own: call net.eval(), and keep running statistics."
        )
    total = {name: wide(p).new_zeros(p.numel(), p.numel()) for name, p in named.items()}
    count = 0
    for batch in batches(loader):
        inputs, targets = checked_batch(batch, net)
        with torch.no_grad():
            outputs = net(inputs.clone())  # a network may write into its input
        check_outputs(outputs)
        chosen.check(outputs, targets)
        count += len(inputs)
        with torch.enable_grad():
            for datum in inputs:
                _add_datum(net, datum[None].clone(), chosen, named, total)
    check_count(count)
    return total


def _add_datum(
    net: nn.Module,
    datum: Tensor,
    likelihood: Likelihood,
    named: dict[str, nn.Parameter],
    total: dict[str, Tensor],
) -> None:
    outputs = net(datum)
    if not outputs.requires_grad:
        raise lost_graph(next(iter(named)))
    with torch.no_grad():
        columns = likelihood.hessian_root(wide(outputs))[0].to(outputs)
    for column in columns.mT:
        gradients = torch.autograd.grad(
            outputs[0], list(named.values()), column, retain_graph=True, allow_unused=True
        )
        for name, gradient in zip(named, gradients, strict=True):
            if gradient is not None:
                flat = wide(gradient).reshape(-1)
                total[name] += torch.outer(flat, flat)
