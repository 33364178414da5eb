"""Table 2: eleven layers by MAP and by the marginal likelihood (§6.2)."""

from collections.abc import Iterator

from relaxeq.data import ImageTask
from relaxeq.study import Claim, Paper, Training
from relaxeq.tables.claims import as_good_as_the_best, laplace_beats_map
from relaxeq.tables.preset import Preset, paper, smoke
from relaxeq.tables.results import Results
from relaxeq.tables.sections import layers, ranges, scores
from relaxeq.tables.table import Table, printed_scores

EARLY = 3
"""How many layers are early: those of the finest two grids."""

LEARNED = "F-FC+CONV"
DENSE = ("FC", "CONV", "FC+CONV", "F-FC", LEARNED)
SPARSE = ("S-FC", "S-CONV", "S-FC+S-CONV")
PRIORS = {"u": "anchors", "ω": "lengthscales"}

PRESETS = {
    "smoke": smoke(),
    "cpu": Preset(
        ("fashion-mnist",),
        16,
        0.4,
        2000,
        1000,
        Training(40, lr=0.005, burn_in=10, update_every=2),
    ),
    "paper": paper("cifar10"),
}

CIFAR = "cifar10"
PRINTED = {
    "FC": (2.423, 64.42, 1.319, 52.36, 1.896),
    "CONV": (1.184, 82.81, 0.464, 84.07, 1.022),
    "FC+CONV": (1.713, 76.93, 0.489, 83.32, 1.019),
    "F-FC": (4.291, 50.47, 1.307, 53.38, 2.119),
    LEARNED: (1.343, 81.61, 0.468, 83.92, 1.277),
    "S-FC, u": (5.614, 50.21, 1.496, 46.18, 1.926),
    "S-CONV, u": (0.604, 82.53, 0.562, 81.29, 1.037),
    "S-FC+S-CONV, u": (5.485, 58.80, 0.538, 81.55, 0.978),
    "S-FC, ω": (7.783, 49.69, 1.319, 52.22, 1.813),
    "S-CONV, ω": (0.913, 81.84, 0.549, 81.20, 1.055),
    "S-FC+S-CONV, ω": (2.040, 77.97, 0.564, 80.63, 1.067),
}
"""MAP: NLL, accuracy; Laplace: NLL, accuracy, minus log evidence."""


def rows(preset: Preset) -> dict[str, Paper]:
    """Five dense networks, and three sparse ones with a prior on anchors or on lengthscales."""
    alpha = preset.alpha(10)
    sparse = {
        f"{spec}, {symbol}": Paper(spec, alpha, prior=prior)
        for symbol, prior in PRIORS.items()
        for spec in SPARSE
    }
    return {spec: Paper(spec, alpha) for spec in DENSE} | sparse


def columns(preset: Preset) -> dict[str, ImageTask]:
    """The first data set."""
    return {preset.data[0]: preset.task(preset.data[0])}


def claims(results: Results) -> tuple[Claim, ...]:
    """Learned symmetry is as good as CONV, its early layers turn convolutional."""
    found = [
        claim
        for column in results.columns
        for judge in (_as_good, _early)
        for claim in judge(results, column)
    ]
    return (*found, *laplace_beats_map(results))


def _as_good(results: Results, column: str) -> Iterator[Claim]:
    return as_good_as_the_best(results, column, LEARNED, ("CONV",))


def _early(results: Results, column: str) -> Iterator[Claim]:
    for row in ("FC+CONV", LEARNED):
        key = (row, column, "laplace")
        if results.cell(key):
            free = row.partition("+")[0]
            shares = [100 * figure.mean for figure in results.shares(key, free)][:EARLY]
            shown = ", ".join(f"{share:.0f}" for share in shares)
            text = f"{column}, {row}: {free} switches off in the first {EARLY} layers"
            yield Claim(f"{text}, with shares of {shown} %", max(shares) < 5)


TABLE2 = Table(
    name="2",
    title="Table 2: layers by MAP and by the marginal likelihood",
    presets=PRESETS,
    rows=rows,
    columns=columns,
    claims=claims,
    sections=(scores, ranges, layers),
    printed=printed_scores({(row, CIFAR): figures for row, figures in PRINTED.items()}),
)
