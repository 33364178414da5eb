"""Table 4 and Figure 3: what the layers of a learned FC+CONV network turned into (App. D)."""

from collections.abc import Iterator

from matplotlib.figure import Figure

from relaxeq.report import layers_figure
from relaxeq.study import ACCURACY, EVIDENCE, NLL, Claim, Paper
from relaxeq.tables.preset import Preset
from relaxeq.tables.results import Results
from relaxeq.tables.sections import layers, scores
from relaxeq.tables.table import Picture, Table
from relaxeq.tables.table2 import CIFAR, EARLY, PRESETS, columns

SPECS = ("FC+CONV", "F-FC+CONV")


def rows(preset: Preset) -> dict[str, Paper]:
    """The paper's network, and its factored sister."""
    return {spec: Paper(spec, preset.alpha(10)) for spec in SPECS}


def draw(results: Results) -> Figure | None:
    """Figure 3: the layers of the first network, at its first seed."""
    learned = results.learned()
    return layers_figure(results.cell(learned[0])[0].report.rows) if learned else None


def claims(results: Results) -> tuple[Claim, ...]:
    """Early layers turn convolutional, and the exceptions are at the end."""
    return tuple(
        claim
        for key in results.learned()
        for claim in _types(
            f"{key[1]}, {key[0]}", [layer[0].layer_type for layer in results.layers(key)]
        )
    )


def _types(name: str, kinds: list[str]) -> Iterator[Claim]:
    free = [number for number, kind in enumerate(kinds) if kind != "CONV"]
    early = [number for number in free if number < EARLY]
    text = f"{name}: the first {EARLY} layers are CONV"
    yield Claim(f"{text}{f', but not {early}' if early else ''}", not early)
    text = f"{name}: {len(kinds) - len(free)} of {len(kinds)} layers turn convolutional"
    yield Claim(f"{text}{f', not {free}' if free else ''}", 2 * len(free) < len(kinds))


TABLE4 = Table(
    name="4",
    title="Table 4: what layers learned to be",
    presets=PRESETS,
    rows=rows,
    columns=columns,
    claims=claims,
    sections=(scores, layers),
    printed={
        ("FC+CONV", CIFAR, "laplace"): {NLL: 0.489, ACCURACY: 83.32, EVIDENCE: -1.019},
        ("F-FC+CONV", CIFAR, "laplace"): {NLL: 0.468, ACCURACY: 83.92, EVIDENCE: -1.277},
    },
    objectives=("laplace",),
    picture=Picture("figure3.png", "Shares and precisions of the paths of every layer", draw),
)
