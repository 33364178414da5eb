"""Flavours of curvature, one word each, the same for every path."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import final

from torch import nn

from relaxeq.curvature.blocks import Block
from relaxeq.curvature.collect import Pass, Totals
from relaxeq.curvature.corrected import corrected, diagonal
from relaxeq.curvature.dense import dense
from relaxeq.curvature.kfac import kronecker
from relaxeq.curvature.recording import Batch
from relaxeq.errors import SpecError

Flavour = Callable[[nn.Module, Iterable[Batch], Pass], tuple[Mapping[str, Block], Totals]]


def averaged(
    net: nn.Module, loader: Iterable[Batch], settings: Pass
) -> tuple[Mapping[str, Block], Totals]:
    """KFAC with G averaged over blocks, as App. C.1 writes it for factored layers."""
    blocks, totals = kronecker(net, loader, settings)
    return {name: block.averaged() for name, block in blocks.items()}, totals


FLAVOURS: dict[str, Flavour] = {
    "kfac": kronecker,
    "averaged": averaged,
    "corrected": corrected,
    "diagonal": diagonal,
    "exact": dense,
}


@final
@dataclass(frozen=True, eq=False)
class Estimate:
    """Curvature blocks by parameter, Σ log p(y|f) in nats, N, and the entries of all outputs."""

    blocks: Mapping[str, Block]
    log_likelihood: float
    count: int
    entries: int


def estimate(
    net: nn.Module, loader: Iterable[Batch], settings: Pass, flavour: str = "kfac"
) -> Estimate:
    """The curvature of every trained parameter in one flavour.

    "kfac": Kronecker factors per block; "averaged": App. C.1's, one G for all blocks of a factored
    layer; "corrected": KFAC's eigenbasis with exact eigenvalues (two passes); "diagonal": the exact
    diagonal; "exact": the whole block, for parameters up to 20,000 entries.
    """
    check_flavour(flavour)
    blocks, totals = FLAVOURS[flavour](net, loader, settings)
    return Estimate(blocks, totals.log_likelihood, totals.count, totals.entries)


def check_flavour(flavour: str) -> None:
    """Raise SpecError unless the flavour exists."""
    if flavour not in FLAVOURS:
        raise SpecError(f"curvature={flavour!r} is not one of {', '.join(FLAVOURS)}.")
