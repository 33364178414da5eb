"""The exact block of every site, from per-datum gradients: for networks of moderate size."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import final

from torch import Tensor, nn

from relaxeq.curvature.batches import Batch
from relaxeq.curvature.blocks import DenseBlock
from relaxeq.curvature.collect import Collector, Pass, Totals, check_finite, collect
from relaxeq.curvature.precision import wide
from relaxeq.errors import SpecError
from relaxeq.sites import Site

LIMIT = 20_000


def dense(
    net: nn.Module, loader: Iterable[Batch], settings: Pass
) -> tuple[dict[str, DenseBlock], Totals]:
    """Σ_n J_nᵀ Λ_n J_n per parameter without approximation: P² memory, N·P² operations each.

    Rebuilt from sites, so much faster than `exact_ggn`, which knows nothing of them. Parameters of
    more than 20,000 entries are refused.
    """
    sums, totals = collect(net, loader, settings, _made)
    for name, found in sums.items():
        check_finite(name, found.matrix)
    return {name: DenseBlock(s.site, s.matrix) for name, s in sums.items()}, totals


def _made(name: str, site: Site, parameter: Tensor) -> "_Outers":
    size = parameter.numel()
    if size > LIMIT:
        raise SpecError(
            f"parameter {name!r} has {size} entries; exact blocks take at most {LIMIT}. Use "
            "'corrected' or 'kfac', or a smaller network."
        )
    return _Outers(site, wide(parameter).new_zeros(size, size))


@final
@dataclass
class _Outers(Collector):
    site: Site
    matrix: Tensor
    inputs: list[Tensor] = field(default_factory=list)

    def add_inputs(self, calls: list[Tensor]) -> None:
        self.inputs = calls

    def add_gradients(self, calls: list[Tensor]) -> None:
        pairs = zip(self.inputs, calls, strict=True)
        gradients = sum(self.site.sample_gradients(x, g) for x, g in pairs)
        assert isinstance(gradients, Tensor)
        axes = [0, *(1 + "boi".index(axis) for axis in self.site.axes)]
        flat = gradients.permute(axes).flatten(1)
        self.matrix += flat.mT @ flat
