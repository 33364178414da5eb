"""Checks of sites: gradients, Grams and KFAC of a path against autograd and the exact GGN."""

import copy
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor, nn

from relaxeq.curvature import exact_ggn, kfac
from relaxeq.errors import SiteError
from relaxeq.paths import Path
from relaxeq.sites import Site, gram_of, listening, network_sites, tapped
from relaxeq.testing.checks import CheckError, check_close


@final
@dataclass
class Recorded:
    """One forward pass of a path: its output, and what each parameter's site saw."""

    y: Tensor
    calls: dict[str, list[tuple[Tensor, Tensor]]] = field(default_factory=dict)


def check_gradients(path: Path, x: Tensor) -> None:
    """Σ_{n,s} g aᵀ over the recorded calls equals autograd's gradient, for every parameter."""
    sites, recorded = _sites(path), _record(path, x)
    loss = (torch.linspace(-1, 1, recorded.y.numel()).to(recorded.y) * recorded.y.flatten()).sum()
    loss = loss + 0.5 * recorded.y.square().sum()
    for name, site in sites.items():
        expected = torch.autograd.grad(loss, path.get_parameter(name), retain_graph=True)[0]
        rebuilt = torch.zeros_like(expected).flatten()
        for before, z in recorded.calls.get(name, []):
            g = torch.autograd.grad(loss, z, retain_graph=True)[0]
            rebuilt = rebuilt + site.flat_from_blocks(site.sample_gradients(before, g).sum(0))
        what = f"{path.label}: the gradient of {name}, rebuilt from its site,"
        check_close(what, rebuilt.view_as(expected), expected)


def check_grams(path: Path, x: Tensor) -> None:
    """Each layout's Gram is Σ_{n,s} v vᵀ of its expanded features, and both sides share alike."""
    recorded = _record(path, x)
    for name, site in _sites(path).items():
        for before, z in recorded.calls[name]:
            shared = []
            sides = (("inputs", site.inputs, before), ("outputs", site.outputs, z.detach()))
            for side, layout, tensor in sides:
                expanded = layout.expand(tensor)
                what = f"{path.label}: the Gram of the {side} of {name}"
                check_close(what, layout.gram(tensor), gram_of(expanded))
                shared += [expanded.shape[2], layout.shared(tensor)]
            if len(set(shared)) > 1:
                raise CheckError(
                    f"{path.label}: the site of {name} shares {shared[0]} positions of the inputs "
                    f"and {shared[2]} of the outputs, and says {shared[1]} and {shared[3]}."
                )


def check_kfac(path: Path, x: Tensor) -> None:
    """Equal to the exact GGN, block by block, under Gaussian noise, where KFAC has no error.

    That is so for any data where z is the output itself, since then G is the same for all data and
    positions; and for one datum where no positions share the parameter.
    """
    recorded, sites = _record(path, x), _sites(path)
    last, alone = [], []
    for name, site in sites.items():
        calls = recorded.calls[name]
        if len(calls) == 1 and _is_output(calls[0][1], recorded.y):
            last.append(name)
        elif len(calls) == 1 and site.inputs.shared(calls[0][0]) == 1:
            alone.append(name)
    _check_blocks(path, x, {name: sites[name] for name in last})
    _check_blocks(path, x[:1], {name: sites[name] for name in alone})


def _check_blocks(path: Path, x: Tensor, sites: dict[str, Site]) -> None:
    """KFAC against the exact GGN of some parameters, the others held fixed."""
    if not sites:
        return
    net = copy.deepcopy(nn.Sequential(path, nn.Flatten()))
    for name, parameter in net[0].named_parameters():
        parameter.requires_grad_(name in sites)
    loader = [(x, torch.zeros_like(net(x)))]
    blocks, truth = kfac(net, loader, "regression"), exact_ggn(net, loader, "regression")
    for name, site in sites.items():
        expected = truth[f"0.{name}"] * _same_block(site)
        check_close(f"{path.label}: KFAC of {name}", blocks[f"0.{name}"].dense(), expected)


def _is_output(z: Tensor, y: Tensor) -> bool:
    return z.numel() == y.numel() and torch.equal(z.flatten(), y.flatten())


def _same_block(site: Site) -> Tensor:
    """1 where two entries of the flattened parameter lie in one block of the site, else 0."""
    blocks, out, in_ = site.shape
    numbers = torch.arange(blocks)[:, None, None].expand(blocks, out, in_)
    flat = site.flat_from_blocks(numbers)
    return (flat[:, None] == flat[None, :]).double()


def _record(path: Path, x: Tensor) -> Recorded:
    names = {(id(m), own): full for full, (m, own, _) in network_sites(path).items()}
    calls: dict[str, list[tuple[Tensor, Tensor]]] = {}

    def listen(module: nn.Module, own: str, before: Tensor, z: Tensor) -> None:
        if (full := names.get((id(module), own))) is not None:
            calls.setdefault(full, []).append((before.detach(), z))

    with tapped(path), listening(listen):
        y = path(x)
    for name in _sites(path):
        if name not in calls:
            raise CheckError(
                f"{path.label}: forward never shows {name}: write `z = tap(self, {name!r}, x, z)`."
            )
    return Recorded(y, calls)


def _sites(path: Path) -> dict[str, Site]:
    """The sites of all parameters but those that σ² = 0 takes out of the map, such as an ω = 0."""
    try:
        found = network_sites(path)
    except SiteError as error:
        raise CheckError(f"{path.label}: {error}") from error
    return {
        full: site
        for full, (module, _, site) in found.items()
        if getattr(module, "prior_variance", 1.0) != 0.0
    }
