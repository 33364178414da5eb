"""Hearing: the calls of a network's sites, by the full names of their parameters."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from relaxeq.sites.registry import Sites, tapped
from relaxeq.sites.tap import listening
from relaxeq.sites.wanted import Wanted, wanting

Take = Callable[[str, Tensor, Tensor], None]


@contextmanager
def hearing(network: nn.Module, sites: Sites, take: Take) -> Iterator[Wanted]:
    """While open, hand every call x ↦ z of a site to `take`, with its parameter's full name.

    Gives the Wanted of what is computed meanwhile.
    """
    names = {(id(module), own): full for full, (module, own, _) in sites.items()}

    def listen(module: nn.Module, own: str, x: Tensor, z: Tensor) -> None:
        if (full := names.get((id(module), own))) is not None:
            take(full, x, z)

    with tapped(network), listening(listen), wanting() as wanted:
        yield wanted
