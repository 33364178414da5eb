"""Table 3: choosing among none, translations and roto-translations (§6.3)."""

from collections.abc import Iterator

from relaxeq.data import ImageTask, Rotated, Transform, Translated
from relaxeq.study import Claim, Paper, Training
from relaxeq.tables.claims import laplace_beats_map
from relaxeq.tables.preset import Preset, paper, smoke
from relaxeq.tables.results import Results
from relaxeq.tables.sections import layers, ranges, scores
from relaxeq.tables.table import Table, printed_scores

SPEC = "F-FC+CONV+GCONV"
REACH = 8, 32
"""Translations by up to 8 pixels of 32, and as far on smaller images."""

PRESETS = {
    "smoke": smoke(),
    "cpu": Preset(
        ("mnist", "fashion-mnist"),
        16,
        1.0,
        2000,
        1000,
        Training(40, lr=0.003, batch=64, burn_in=10, update_every=2),
    ),
    "paper": paper("mnist", "cifar10"),
}

PRINTED = {
    "mnist": (0.172, 97.59, 0.023, 99.21, 0.328),
    "translated mnist": (0.812, 90.78, 0.053, 98.27, 0.216),
    "rotated mnist": (0.819, 91.02, 0.136, 95.55, 0.896),
    "cifar10": (3.540, 68.33, 0.552, 80.94, 0.926),
    "rotated cifar10": (5.953, 48.30, 1.236, 55.68, 1.630),
}
"""MAP: NLL, accuracy; Laplace: NLL, accuracy, minus log evidence."""


def rows(preset: Preset) -> dict[str, Paper]:
    """The network of three paths on Z2 ⋊ p4; the paper's α is 2."""
    return {SPEC: Paper(SPEC, preset.alpha(2), "p4")}


def columns(preset: Preset) -> dict[str, ImageTask]:
    """The first data set plain, translated and turned; the others plain and turned."""
    pixels = preset.size * REACH[0] // REACH[1]
    found: dict[str, ImageTask] = {}
    for number, source in enumerate(preset.data):
        kinds: dict[str, tuple[Transform, ...]] = {"": (), "rotated ": (Rotated(),)}
        if number == 0:
            kinds = {"": (), "translated ": (Translated(pixels),), "rotated ": (Rotated(),)}
        found |= {f"{kind}{source}": preset.task(source, *each) for kind, each in kinds.items()}
    return found


def claims(results: Results) -> tuple[Claim, ...]:
    """The share of GCONV rises with rotation; Laplace beats MAP."""
    return (*_rises(results), *laplace_beats_map(results))


def _rises(results: Results) -> Iterator[Claim]:
    for column in results.columns:
        pair = [_share(results, name) for name in (column, f"rotated {column}")]
        if pair[0] is not None and pair[1] is not None:
            text = f"{column}: the share of GCONV rises with rotation"
            yield Claim(f"{text}, from {pair[0]:.0f} to {pair[1]:.0f} %", pair[1] > pair[0])


def _share(results: Results, column: str) -> float | None:
    key = (SPEC, column, "laplace")
    if not results.cell(key):
        return None
    shares = results.shares(key, "GCONV")
    return 100 * sum(figure.mean for figure in shares) / len(shares)


TABLE3 = Table(
    name="3",
    title="Table 3: choosing among several groups",
    presets=PRESETS,
    rows=rows,
    columns=columns,
    claims=claims,
    sections=(scores, ranges, layers),
    several=True,
    printed=printed_scores({(SPEC, column): figures for column, figures in PRINTED.items()}),
)
