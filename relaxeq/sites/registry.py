"""Which parameters of a network have sites: relaxeq's layers, torch's layers, and users' own."""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol, TypeVar, runtime_checkable

from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from relaxeq.errors import SiteError
from relaxeq.sites.kronecker import Site
from relaxeq.sites.tap import tap


@runtime_checkable
class HasSites(Protocol):
    """A module that taps its own parameters in `forward` and lists their sites."""

    def sites(self) -> dict[str, Site]: ...


Sites = dict[str, tuple[nn.Module, str, Site]]
"""By full name of a parameter: its module, its name there, its site."""

M = TypeVar("M", bound=nn.Module)
SiteMaker = Callable[[M], dict[str, Site]]

_makers: dict[type[nn.Module], Callable[..., dict[str, Site]]] = {}
_MARK = "_relaxeq_deterministic"


def register_sites(*module_types: type[M]) -> Callable[[SiteMaker[M]], SiteMaker[M]]:
    """Decorator: the sites of these modules, as a function from the module to {name: Site}.

    The module must take one tensor x (batch first) and return one tensor z; both are recorded at
    every call. A layer with several steps implements `sites()` and calls `relaxeq.tap` instead.
    """

    def keep(maker: SiteMaker[M]) -> SiteMaker[M]:
        _makers.update(dict.fromkeys(module_types, maker))
        return maker

    return keep


def _maker(module: nn.Module) -> Callable[..., dict[str, Site]] | None:
    return next((_makers[kind] for kind in type(module).__mro__ if kind in _makers), None)


def deterministic(module: nn.Module, *names: str) -> nn.Module:
    """Mark parameters as deterministic: trained, but without prior, curvature or evidence.

    Without `names`, all parameters of `module` and of its children; with names, only those of its
    own parameters. Returns the module.
    """
    own = {name for name, _ in module.named_parameters(recurse=False)}
    if unknown := set(names) - own:
        raise SiteError(
            f"names={sorted(unknown)} are not parameters of {type(module).__name__}, which has "
            f"{sorted(own)}."
        )
    if names:
        setattr(module, _MARK, getattr(module, _MARK, frozenset()) | frozenset(names))
        return module
    for child in module.modules():
        every = frozenset(name for name, _ in child.named_parameters(recurse=False))
        setattr(child, _MARK, every)
    return module


def is_deterministic(module: nn.Module, name: str) -> bool:
    """Whether `deterministic` marked this parameter of the module."""
    return name in getattr(module, _MARK, frozenset())


def module_sites(module: nn.Module) -> dict[str, Site]:
    """The sites of a module's own parameters (not of its children), deterministic ones left out."""
    if isinstance(module, HasSites):
        found = module.sites()
    else:
        maker = _maker(module)
        found = maker(module) if maker else {}
    return {name: site for name, site in found.items() if not is_deterministic(module, name)}


def network_sites(network: nn.Module) -> Sites:
    """Every trained parameter's full name, with its module, its name there and its site.

    Raises SiteError naming the first parameter that requires grad, has no site and is not
    deterministic (left out in silence it would corrupt the evidence), whose site is of another
    size, that has two names (it would count twice, or by half if one is deterministic), or that is
    lazy or complex.
    """
    check_module(network)
    found: Sites = {}
    seen: dict[nn.Parameter, str] = {}
    left_out: dict[nn.Parameter, str] = {}
    for prefix, module in network.named_modules():
        sites = module_sites(module)
        for name, parameter in module.named_parameters(recurse=False):
            full = f"{prefix}.{name}" if prefix else name
            if not parameter.requires_grad:
                continue
            if is_deterministic(module, name):
                left_out[parameter] = full
                continue
            _check_kind(full, parameter)
            if name not in sites:
                raise SiteError(
                    f"parameter {full!r} of a {type(module).__name__} has no curvature site. Write "
                    f"one with @relaxeq.register_sites({type(module).__name__}), or leave it out "
                    f"of the prior with relaxeq.deterministic(module, {name!r})."
                )
            _check_parameter(full, parameter, sites[name], seen.setdefault(parameter, full))
            found[full] = (module, name, sites[name])
    for parameter in seen.keys() & left_out.keys():
        raise SiteError(
            f"parameter {seen[parameter]!r} is the same tensor as {left_out[parameter]!r}, which "
            "is deterministic: mark it so in both places, or call one module in both."
        )
    return found


def check_module(network: object) -> None:
    """Refuse what is no module, such as the loader in its place."""
    if not isinstance(network, nn.Module):
        raise SiteError(f"network={network!r} is no torch.nn.Module: pass the network first.")


def _check_kind(full: str, parameter: nn.Parameter) -> None:
    if isinstance(parameter, UninitializedParameter):
        raise SiteError(
            f"parameter {full!r} is lazy and has no shape yet: write net(x) once before."
        )
    if parameter.is_complex():
        raise SiteError(
            f"parameter {full!r} is complex, and curvature is that of real ones: keep its real and "
            "imaginary parts, or leave it out with relaxeq.deterministic."
        )


def _check_parameter(full: str, parameter: nn.Parameter, site: Site, first: str) -> None:
    if first != full:
        raise SiteError(
            f"parameter {full!r} is the same tensor as {first!r}: one parameter needs one site. "
            "Call one module in both places, or copy the parameter."
        )
    if parameter.numel() != math.prod(site.shape):
        raise SiteError(
            f"parameter {full!r} has shape {tuple(parameter.shape)}, but its site has (blocks, "
            f"out, in) = {site.shape}: the number of entries must agree."
        )


@contextmanager
def tapped(network: nn.Module) -> Iterator[None]:
    """While open, registered modules (torch's, users') tap their sites at this thread's calls.

    Hooks are the module's, not the thread's, so each one asks who calls: two threads may record one
    network at a time, and a third may predict with it.
    """
    owner = threading.get_ident()

    def tap_all(module: nn.Module, arguments: tuple[Tensor, ...], *rest: Any) -> None:
        if threading.get_ident() != owner:
            return
        named, output = rest
        x = (*arguments, *named.values())[0]
        for name in module_sites(module):
            tap(module, name, x, output)

    with ExitStack() as stack:
        for module in network.modules():
            if not isinstance(module, HasSites) and _maker(module) is not None:
                stack.callback(module.register_forward_hook(tap_all, with_kwargs=True).remove)
        yield
