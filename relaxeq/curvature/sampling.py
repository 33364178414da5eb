"""Curvature from a part of the data: scaled sums, or a stochastic lower bound on the evidence."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import final

import torch
from torch import Tensor, nn

from relaxeq.arguments import is_count
from relaxeq.curvature.batches import Batch, batches, check_count, check_outputs, checked_batch
from relaxeq.curvature.blocks import Block, KernelSpectrum
from relaxeq.curvature.collect import Collector, Pass, Totals, check_finite, collect
from relaxeq.curvature.flavours import FLAVOURS
from relaxeq.curvature.precision import wide
from relaxeq.errors import DataError, SpecError
from relaxeq.likelihoods import likelihood_from
from relaxeq.sites import Site


@final
@dataclass(frozen=True)
class Subset:
    """A flavour on `size` data drawn at random without replacement, its sums scaled by N/size.

    Both factors of KFAC, and the values of other flavours, are unbiased; log p(D|θ) is that of all
    data, by a forward pass without gradients. Log det is concave, so log det(H + α) comes out too
    small on average, and the evidence too high: most where size times the outputs is below P.
    """

    size: int
    flavour: str = "kfac"

    def __post_init__(self) -> None:
        _check_whole("Subset", "size", self.size)
        if self.flavour not in FLAVOURS:
            raise SpecError(
                f"flavour={self.flavour!r} of Subset is not one of {', '.join(FLAVOURS)}."
            )

    def __call__(
        self, net: nn.Module, loader: Iterable[Batch], settings: Pass
    ) -> tuple[Mapping[str, Block], Totals]:
        batches, totals = _drawn(net, loader, settings, self.size, None)
        blocks, part = FLAVOURS[self.flavour](net, batches, settings)
        factor = totals.count / part.count
        return {name: block.scaled(factor) for name, block in blocks.items()}, totals


@final
@dataclass(frozen=True)
class Bound:
    """A stochastic lower bound on the evidence (after Immer et al. 2023, arXiv 2306.03968).

    With the columns J_B of Λ½ J of a random batch B of `size` data,
    log det(H/α + 1) ≤ N/size · E_B log det(J_B J_Bᵀ/α + 1)  (Fischer's inequality, and Han's where
    `size` does not divide N), estimated without bias by `batches` batches that do not meet. Columns
    are exact whatever `fisher` says: a sampled label bounds nothing. Needs `size` data times
    outputs times P numbers at once. log p(D|θ) is that of all data, by a forward pass.
    """

    size: int = 8
    batches: int = 8

    def __post_init__(self) -> None:
        _check_whole("Bound", "size", self.size)
        _check_whole("Bound", "batches", self.batches)

    def __call__(
        self, net: nn.Module, loader: Iterable[Batch], settings: Pass
    ) -> tuple[Mapping[str, KernelSpectrum], Totals]:
        settings = replace(settings, fisher="exact")
        batches, totals = _drawn(net, loader, settings, self.size * self.batches, self.size)
        kernels, part = collect(net, batches, settings, _Kernels)
        weight = totals.count / part.count
        return {name: found.spectrum(weight) for name, found in kernels.items()}, totals


@final
@dataclass
class _Kernels(Collector):
    """Per batch the eigenvalues of J_B J_Bᵀ, J_B (data · columns, P) the gradients of a site."""

    name: str
    site: Site
    parameter: Tensor
    inputs: list[Tensor] = field(default_factory=list)
    rows: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)

    def add_inputs(self, calls: list[Tensor]) -> None:
        self._finish()
        self.inputs = calls

    def add_gradients(self, calls: list[Tensor]) -> None:
        pairs = zip(self.inputs, calls, strict=True)
        found = torch.stack([self.site.sample_gradients(x, g) for x, g in pairs]).sum(0)
        self.rows.append(found.flatten(1))

    def spectrum(self, weight: float) -> KernelSpectrum:
        self._finish()
        empty = wide(self.parameter).new_zeros(0).double()
        return KernelSpectrum(self.site, torch.cat([empty, *self.values]), weight)

    def _finish(self) -> None:
        if self.rows:
            columns = torch.cat(self.rows)
            check_finite(self.name, columns)
            kernel = (columns @ columns.mT).double()
            self.values.append(torch.linalg.eigvalsh(kernel).clamp_min(0.0))
            self.rows = []


@torch.no_grad()
def _drawn(
    net: nn.Module, loader: Iterable[Batch], settings: Pass, size: int, batch: int | None
) -> tuple[list[Batch], Totals]:
    """`size` random data in batches (of whole ones, if `batch` is given), and all data's totals.

    Each datum gets a random key; those of the smallest keys are kept, in the keys' order.
    """
    likelihood, generator = likelihood_from(settings.likelihood), settings.generator
    kept: tuple[Tensor, Tensor, Tensor] | None = None
    count, entries, total, rows = 0, 0, 0.0, batch or 1
    for pair in batches(loader):
        inputs, targets = checked_batch(pair, net)
        outputs = net(inputs)
        check_outputs(outputs)
        likelihood.check(outputs, targets)
        total += float(likelihood.log_likelihood(outputs.double(), targets))
        count, entries = count + len(inputs), entries + outputs.numel()
        rows = batch or max(rows, len(inputs))
        kept = _smallest(kept, (_keys(len(inputs), generator), inputs, targets), size)
    check_count(count)
    assert kept is not None
    used = min(size, count)
    used -= used % batch if batch is not None and used > batch else 0
    _, inputs, targets = (part[:used] for part in kept)
    chunks: list[Batch] = list(zip(inputs.split(rows), targets.split(rows), strict=True))
    return chunks, Totals(total, count, entries)


def _keys(count: int, generator: torch.Generator | None) -> Tensor:
    device = "cpu" if generator is None else generator.device
    return torch.rand(count, generator=generator, device=device, dtype=torch.float64).cpu()


def _smallest(
    kept: tuple[Tensor, Tensor, Tensor] | None, found: tuple[Tensor, Tensor, Tensor], size: int
) -> tuple[Tensor, Tensor, Tensor]:
    if kept is not None and kept[1].shape[1:] != found[1].shape[1:]:
        raise DataError(
            "Subset and Bound put drawn data into batches of their own, so that all x must be of "
            f"one shape, not {tuple(kept[1].shape[1:])} and {tuple(found[1].shape[1:])}: resize "
            "them, or take a flavour of all data such as 'kfac'."
        )
    keys, inputs, targets = (
        found if kept is None else (torch.cat(pair) for pair in zip(kept, found, strict=True))
    )
    order = keys.argsort()[:size]
    there = order.to(inputs.device)
    return keys[order], inputs[there], targets[order.to(targets.device)]


def _check_whole(kind: str, name: str, value: object) -> None:
    if not is_count(value):
        raise SpecError(f"{name}={value!r} of {kind} must be a whole number, at least 1.")
