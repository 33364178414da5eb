"""Uses: whether its recorded calls are all that a parameter does to the outputs."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from relaxeq.curvature.calls import (
    Call,
    edges_of,
    gradients_of,
    is_reentrant,
    or_zero,
    reentrant_error,
)
from relaxeq.curvature.precision import no_autocast, wide
from relaxeq.errors import SiteError
from relaxeq.sites import Site, Sites

ENOUGH = 4
"""Data whose gradients are compared: a site that is wrong is wrong for each of them."""


def check_uses(
    outputs: Tensor, sites: Sites, calls: Mapping[str, list[Call]], everything: bool, apart: bool
) -> None:
    """Refuse a parameter θ whose gradient is not Σ g aᵀ over its recorded calls.

    A site promises z = θ a. It is broken where a weight is used outside its module (tied by hand,
    a hypernetwork), where a subclass or a hook makes another z of it, or where a site is written
    wrongly; the curvature would be that of another network. `everything` compares all parameters,
    by one backward pass that also computes gradients of weights; else those alone that no call led
    to the outputs, which must not act on them at all. Where data are `apart`, as without the
    statistics of a batch, the outputs of some may depend on as many rows alone: time on the first
    axis, in sequences as long as the batch, is refused.
    """
    if not outputs.requires_grad:
        _refuse_lost_graph(calls)
        return
    silent = {n for n in sites if all(call.edge is None for call in calls.get(n, []))}
    if silent and is_reentrant(outputs):
        raise reentrant_error()
    parameters = {name: module.get_parameter(own) for name, (module, own, _) in sites.items()}
    # A hook on a parameter may change its gradient, but makes none where it has no use.
    compared = {
        n: p for n, p in parameters.items() if n in silent or (everything and not p._backward_hooks)
    }
    if not compared:
        return
    used = {name: calls.get(name, []) for name in compared}
    edges = edges_of(used)
    places = [get_gradient_edge(p) for p in compared.values()] + list(edges.values())
    column = _column(outputs)
    data = int(column.any(1).sum()) if apart else len(outputs)
    found = gradients_of(outputs, places, column, keep=True)
    by_key = dict(zip(edges, found[len(compared) :], strict=True))
    with torch.no_grad(), no_autocast(outputs):
        for (name, parameter), whole in zip(compared.items(), found, strict=False):
            if name in silent:
                _refuse_silent(name, whole)
                continue
            pairs = [(call.x, by_key.get(call.key)) for call in used[name]]
            met = [_alive(name, x, g, data) for x, g in pairs if g is not None]
            _compare(name, sites[name][2], wide(or_zero(whole, parameter)), met)


def _column(outputs: Tensor) -> Tensor:
    """1, 2, 3, … for the outputs of the first few data, half of them at most, 0 for all others."""
    column = torch.zeros_like(outputs)
    column[: max(1, min(ENOUGH, len(outputs) // 2))] = torch.arange(1, outputs.shape[1] + 1).to(
        outputs
    )
    return column


def _alive(name: str, x: Tensor, gradient: Tensor, data: int) -> tuple[Tensor, Tensor]:
    """The rows that the outputs of so many data depend on: other data have no part in them."""
    alive = gradient.any(tuple(range(1, gradient.ndim)))
    if alive.sum() > data and gradient.isfinite().all():  # NaN mixes data that are apart
        raise SiteError(
            f"the outputs of {data} data depend on {int(alive.sum())} rows that parameter {name!r} "
            "sees: a site needs the batch alone on the first axis, and data that do not mix. Write "
            "batch_first=True where sequences have time first."
        )
    return x[alive], gradient[alive]


def _compare(
    name: str, site: Site, expected: Tensor, pairs: Sequence[tuple[Tensor, Tensor]]
) -> None:
    rest, largest, precision = site.to_blocks(expected).clone(), 0.0, torch.finfo(expected.dtype)
    for x, gradient in pairs:
        if not len(gradient):
            continue
        a, g, precision = wide(x), wide(gradient), torch.finfo(gradient.dtype)
        part = site.gradient(a, g)
        if part.shape != rest.shape:
            raise SiteError(
                f"the site of {name!r} has (blocks, out, in) = {site.shape}, but its layouts give "
                f"{tuple(part.shape)}: correct one."
            )
        rest -= part
        largest += float(g.abs().sum()) * max(1.0, float(a.abs().max()))
    difference, size = float(rest.norm()), float(expected.norm())
    tolerance = 0.01 if precision.bits >= 32 else 0.1
    if difference > tolerance * size + torch.finfo(rest.dtype).eps ** 0.5 * largest:
        raise SiteError(
            f"parameter {name!r} does not act as its site says: its gradient and that of its "
            f"module's calls differ by {difference / max(size, difference):.0%}. Use it in these "
            "calls alone; a subclass that computes something else needs sites of its own "
            "(@relaxeq.register_sites), and a hook must leave the module's output as it is. Or "
            "leave the parameter out of the prior with relaxeq.deterministic."
        )


def _refuse_silent(name: str, gradient: Tensor | None) -> None:
    if gradient is not None:
        raise SiteError(
            f"parameter {name!r} acts on the outputs, but its module was not called, so its "
            "curvature is unknown: call the module, or relaxeq.tap the use of the parameter. Or "
            "leave the module that uses it, such as nn.MultiheadAttention, out of the prior with "
            "relaxeq.deterministic."
        )


def _refuse_lost_graph(calls: Mapping[str, list[Call]]) -> None:
    if calls:
        raise lost_graph(next(iter(calls)))


def lost_graph(name: str) -> SiteError:
    """What to write where a parameter was used and its gradient cannot be had."""
    return SiteError(
        f"parameter {name!r} was used, but no gradient leads from the outputs to it: leave "
        "torch.inference_mode, and torch.no_grad or .detach inside the network."
    )
