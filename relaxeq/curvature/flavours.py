"""Flavours of curvature, one word each, the same for every path."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar, final, overload

from torch import nn

from relaxeq.curvature.batches import Batch
from relaxeq.curvature.blocks import Block, Spectrum
from relaxeq.curvature.collect import Pass, Totals
from relaxeq.curvature.corrected import corrected, diagonal
from relaxeq.curvature.dense import dense
from relaxeq.curvature.kfac import kronecker
from relaxeq.errors import SpecError

Flavour = Callable[[nn.Module, Iterable[Batch], Pass], tuple[Mapping[str, Spectrum], Totals]]
Full = Callable[[nn.Module, Iterable[Batch], Pass], tuple[Mapping[str, Block], Totals]]


def averaged(
    net: nn.Module, loader: Iterable[Batch], settings: Pass
) -> tuple[Mapping[str, Block], Totals]:
    """KFAC with G averaged over blocks, as App. C.1 writes it for factored layers."""
    blocks, totals = kronecker(net, loader, settings)
    return {name: block.averaged() for name, block in blocks.items()}, totals


FLAVOURS: dict[str, Full] = {
    "kfac": kronecker,
    "averaged": averaged,
    "corrected": corrected,
    "diagonal": diagonal,
    "exact": dense,
}


S_co = TypeVar("S_co", bound=Spectrum, covariant=True)


@final
@dataclass(frozen=True, eq=False)
class Estimate(Generic[S_co]):
    """Curvature blocks by parameter, Σ log p(y|f) in nats, N, and the entries of all outputs."""

    blocks: Mapping[str, S_co]
    log_likelihood: float
    count: int
    entries: int


@overload
def estimate(
    net: nn.Module, loader: Iterable[Batch], settings: Pass, flavour: str = "kfac"
) -> Estimate[Block]: ...
@overload
def estimate(
    net: nn.Module, loader: Iterable[Batch], settings: Pass, flavour: str | Flavour
) -> Estimate[Spectrum]: ...
def estimate(
    net: nn.Module, loader: Iterable[Batch], settings: Pass, flavour: str | Flavour = "kfac"
) -> Estimate[Spectrum]:
    """The curvature of every trained parameter in one flavour.

    "kfac": Kronecker factors per block; "averaged": App. C.1's, one G for all blocks of a factored
    layer; "corrected": KFAC's eigenbasis with exact eigenvalues (two passes); "diagonal": the exact
    diagonal; "exact": the whole block, for parameters up to 20,000 entries. Or a value that is
    called as they are: `Subset(size, flavour)`, `Bound(size, batches)`.
    """
    check_flavour(flavour)
    if not isinstance(settings, Pass):
        raise SpecError(
            f"settings={settings!r} must be a relaxeq.curvature.Pass: write Pass(likelihood)."
        )
    chosen = FLAVOURS[flavour] if isinstance(flavour, str) else flavour
    blocks, totals = chosen(net, loader, settings)
    return Estimate(blocks, totals.log_likelihood, totals.count, totals.entries)


def check_flavour(flavour: object) -> None:
    """Raise SpecError unless the flavour exists, or is a value to call."""
    if isinstance(flavour, type):
        raise SpecError(
            f"curvature={flavour.__name__} is a class, not a value: write {flavour.__name__}(...)."
        )
    if flavour not in FLAVOURS if isinstance(flavour, str) else not callable(flavour):
        raise SpecError(
            f"curvature={flavour!r} is not one of {', '.join(FLAVOURS)}, nor a value such as "
            "relaxeq.curvature.Subset(1000)."
        )
