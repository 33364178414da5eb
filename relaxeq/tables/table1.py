"""Table 1: symmetry that fits the task (§6.1)."""

from collections.abc import Iterator

from relaxeq.data import ImageTask, InQuadrant
from relaxeq.study import ACCURACY, Claim, Paper, Training
from relaxeq.tables.claims import BLIND, as_good_as_the_best, laplace_beats_map
from relaxeq.tables.preset import Preset, paper, smoke
from relaxeq.tables.results import Results
from relaxeq.tables.sections import layers, ranges, scores
from relaxeq.tables.table import Table

STRICT, PARTIAL = "digit", "digit+quadrant"
SPECS = ("FC", "CONV", "F-FC+CONV")

PRESETS = {
    "smoke": smoke(),
    "cpu": Preset(
        ("mnist",), 16, 0.4, 3000, 1000, Training(40, lr=0.005, burn_in=10, update_every=2)
    ),
    "paper": paper("mnist"),
}


def rows(preset: Preset) -> dict[str, Paper]:
    """The three networks."""
    return {spec: Paper(spec, preset.alpha(10)) for spec in SPECS}


def columns(preset: Preset) -> dict[str, ImageTask]:
    """The two tasks, on the first data set."""
    size = (preset.size, preset.size)
    return {
        name: preset.images(preset.data[0], InQuadrant(name, size)) for name in (STRICT, PARTIAL)
    }


def claims(results: Results) -> tuple[Claim, ...]:
    """Learned symmetry is as good as the right one, and CONV is blind to quadrants."""
    found = [
        claim
        for column in (STRICT, PARTIAL)
        for claim in as_good_as_the_best(results, column, "F-FC+CONV", ("FC", "CONV"))
    ]
    return (*found, *_blind(results), *laplace_beats_map(results))


def _blind(results: Results) -> Iterator[Claim]:
    mean = results.mean(ACCURACY, ("CONV", PARTIAL, "laplace"))
    if mean is not None:
        text = f"{PARTIAL}: CONV cannot see the quadrant and stays below {BLIND:g} %"
        yield Claim(f"{text}, at {mean:.1f} %", mean < BLIND)


TABLE1 = Table(
    name="1",
    title="Table 1: symmetry that fits the task",
    presets=PRESETS,
    rows=rows,
    columns=columns,
    claims=claims,
    sections=(scores, ranges, layers),
    printed={
        ("FC", STRICT, "map"): {ACCURACY: 95.73},
        ("CONV", STRICT, "map"): {ACCURACY: 99.38},
        ("FC", STRICT, "laplace"): {ACCURACY: 97.04},
        ("CONV", STRICT, "laplace"): {ACCURACY: 99.23},
        ("F-FC+CONV", STRICT, "laplace"): {ACCURACY: 98.86},
        ("FC", PARTIAL, "map"): {ACCURACY: 95.10},
        ("CONV", PARTIAL, "map"): {ACCURACY: 24.68},
        ("FC", PARTIAL, "laplace"): {ACCURACY: 95.46},
        ("CONV", PARTIAL, "laplace"): {ACCURACY: 24.50},
        ("F-FC+CONV", PARTIAL, "laplace"): {ACCURACY: 99.00},
    },
)
