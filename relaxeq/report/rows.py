"""The rows of Table 4: one per relaxed layer and path (App. D.2)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

from torch import nn

from relaxeq.paths import Path
from relaxeq.recipe import FitResult, LearnedPrior

NO_TYPE = "none"


@final
@dataclass(frozen=True)
class Row:
    """What one path of one layer learned.

    A path with priors inside it (amplitudes beside lengthscales) shows its own precision and norm,
    and γ and P of all its parameters.

    layer                 number of the layer in the network, from 0; `name` is its module name
    path, symmetry        label of the path, and what it commutes with
    precision             α = 1/σ², high means off (∞ for σ² = 0)
    squared_norm          ‖θ‖²
    effective_parameters  γ = Σ λ/(λ+α), between 0 and `size`
    size                  P, the number of parameters
    normalised            γ/P, between 0 and 1
    share                 (γ/P) / Σ_paths (γ/P) of its layer; 0 when all γ are 0
    layer_type            label of the layer's path with the highest share, "none" when all γ are 0
    """

    layer: int
    name: str
    path: str
    symmetry: str
    precision: float
    squared_norm: float
    effective_parameters: float
    size: int
    normalised: float
    share: float
    layer_type: str


def rows_of(result: FitResult) -> tuple[Row, ...]:
    """One row per relaxed layer and path that has a learned prior, in the network's order."""
    rows: list[Row] = []
    for index, (name, paths) in enumerate(relaxed_layers(result.net)):
        rows += _layer_rows(index, name, paths, result.priors)
    return tuple(rows)


def others_of(result: FitResult) -> tuple[LearnedPrior, ...]:
    """The learned priors that are of no path: biases and plain modules, in the network's order."""
    taken = {
        prior.name
        for _, paths in relaxed_layers(result.net)
        for full in paths
        for prior in priors_of(full, result.priors)
    }
    return tuple(prior for prior in result.priors if prior.name not in taken)


def relaxed_layers(net: nn.Module) -> Iterator[tuple[str, dict[str, Path]]]:
    """Every module with a ModuleDict `paths` of paths: its name, and {full name: path}."""
    for name, module in net.named_modules():
        paths = getattr(module, "paths", None)
        if isinstance(paths, nn.ModuleDict) and len(paths):
            prefix = f"{name}.paths" if name else "paths"
            found = {f"{prefix}.{key}": p for key, p in paths.items() if isinstance(p, Path)}
            if len(found) == len(paths):
                yield name or type(module).__name__, found


def priors_of(full: str, priors: Sequence[LearnedPrior]) -> list[LearnedPrior]:
    """The priors of a path: its own first, then those inside it, such as of its amplitudes."""
    own = [prior for prior in priors if prior.name == full]
    return own + [prior for prior in priors if prior.name.startswith(f"{full}.")]


def _layer_rows(
    index: int, name: str, paths: dict[str, Path], priors: Sequence[LearnedPrior]
) -> list[Row]:
    learned = {full: found for full in paths if (found := priors_of(full, priors))}
    gammas = {full: sum(p.effective_parameters for p in found) for full, found in learned.items()}
    sizes = {full: sum(p.size for p in found) for full, found in learned.items()}
    normalised = {full: gammas[full] / sizes[full] for full in learned}
    total = sum(normalised.values())
    shares = {full: value / total if total > 0 else 0.0 for full, value in normalised.items()}
    kind = paths[max(shares, key=shares.__getitem__)].label if total > 0 else NO_TYPE
    return [
        Row(
            layer=index,
            name=name,
            path=paths[full].label,
            symmetry=paths[full].symmetry,
            precision=found[0].precision,
            squared_norm=found[0].squared_norm,
            effective_parameters=gammas[full],
            size=sizes[full],
            normalised=normalised[full],
            share=shares[full],
            layer_type=kind,
        )
        for full, found in learned.items()
    ]


def by_layer(rows: Sequence[Row]) -> list[tuple[Row, ...]]:
    """The rows of each layer together."""
    numbers = sorted({row.layer for row in rows})
    return [tuple(row for row in rows if row.layer == number) for number in numbers]
