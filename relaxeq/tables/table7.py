"""Table 7: factorisations of the rotation in a roto-translation network (App. F.3)."""

from collections.abc import Iterator

from relaxeq.data import ImageTask, Rotated
from relaxeq.study import ACCURACY, Claim, Paper, Training
from relaxeq.tables.claims import laplace_beats_map
from relaxeq.tables.preset import Preset, paper, smoke
from relaxeq.tables.results import Results
from relaxeq.tables.sections import scores
from relaxeq.tables.table import Table

FULL, POINTWISE, CLASSICAL = "full", "pointwise", "classical"
FILTERS = {
    FULL: ("full", 10),
    "separable": ("separable", 10),
    "depthwise": ("depthwise-separable", 10),
    f"{FULL}, matched": ("full", 6),
    "separable, matched": ("separable", 13),
    "depthwise, matched": ("depthwise-separable", 16),
    POINTWISE: ("pointwise", 10),
}
"""Row ↦ filters and the paper's α; "matched" rows have about as many parameters as CONV."""

PRESETS = {
    "smoke": smoke(),
    "cpu": Preset(
        ("mnist",),
        16,
        0.4,
        2000,
        1000,
        Training(40, lr=0.003, batch=64, burn_in=15, update_every=3),
    ),
    "paper": paper("cifar10"),
}


def rows(preset: Preset) -> dict[str, Paper]:
    """Seven filters of Z2 ⋊ p4, and the classical network beside them."""
    networks = {
        name: Paper("GCONV", preset.alpha(alpha), "p4", filters)
        for name, (filters, alpha) in FILTERS.items()
    }
    return networks | {CLASSICAL: Paper("CONV", preset.alpha(10))}


def columns(preset: Preset) -> dict[str, ImageTask]:
    """The first data set, every image turned by its own angle."""
    return {f"rotated {preset.data[0]}": preset.task(preset.data[0], Rotated())}


def claims(results: Results) -> tuple[Claim, ...]:
    """Full beats pointwise beats classical, by both objectives; Laplace beats MAP."""
    order = [claim for objective in results.objectives for claim in _order(results, objective)]
    return (*order, *laplace_beats_map(results))


def _order(results: Results, objective: str) -> Iterator[Claim]:
    for column in results.columns:
        for better, worse in ((FULL, POINTWISE), (POINTWISE, CLASSICAL)):
            pair = [results.mean(ACCURACY, (row, column, objective)) for row in (better, worse)]
            if pair[0] is not None and pair[1] is not None:
                text = f"{column} by {objective}: {better} ({pair[0]:.1f} %) beats {worse} "
                yield Claim(f"{text}({pair[1]:.1f} %)", pair[0] > pair[1])


TABLE7 = Table(
    name="7",
    title="Table 7: full, separable and pointwise filters of roto-translations",
    presets=PRESETS,
    rows=rows,
    columns=columns,
    claims=claims,
    sections=(scores,),
    printed={
        (row, "rotated cifar10", "map"): {ACCURACY: accuracy}
        for row, accuracy in {
            FULL: 73.70,
            "separable": 61.31,
            "depthwise": 51.63,
            f"{FULL}, matched": 69.89,
            "separable, matched": 59.99,
            "depthwise, matched": 49.77,
            POINTWISE: 66.77,
            CLASSICAL: 57.89,
        }.items()
    },
)
