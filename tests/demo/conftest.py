"""Outcomes with figures of one's choice, without training."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from relaxeq.demo import PRESETS, TOY
from relaxeq.report import Report, Row
from relaxeq.study import Cell, Outcome
from relaxeq.tables import Entry, Results, entry_of

Figures = dict[tuple[str, str], tuple[float, float]]
"""(task, spec) to accuracy in [0, 1] and evidence."""

GOOD: Figures = {
    ("digit", "F-FC"): (0.88, -1.5),
    ("digit", "CONV"): (0.94, -0.5),
    ("digit", "F-FC+CONV"): (0.93, -0.6),
    ("digit+quadrant", "F-FC"): (0.85, -1.0),
    ("digit+quadrant", "CONV"): (0.24, -2.0),
    ("digit+quadrant", "F-FC+CONV"): (0.90, -0.9),
}
SHARES = {"digit": (0.9, 0.8), "digit+quadrant": (0.9, 0.3)}
"""CONV's share per layer of F-FC+CONV."""


def row(layer: int, path: str, share: float) -> Row:
    return Row(
        layer=layer,
        name=f"layers.{layer}",
        path=path,
        symmetry="Z2" if path == "CONV" else "none",
        precision=10.0,
        squared_norm=1.0,
        effective_parameters=share,
        size=1000,
        normalised=share / 1000,
        share=share,
        layer_type="CONV",
    )


def rows_of(spec: str, shares: tuple[float, ...]) -> tuple[Row, ...]:
    if spec != "F-FC+CONV":
        return tuple(row(layer, spec, 1.0) for layer in range(len(shares)))
    return tuple(
        row(layer, path, share if path == "CONV" else 1 - share)
        for layer, share in enumerate(shares)
        for path in ("F-FC", "CONV")
    )


def entry_for(cell: Cell, accuracy: float, evidence: float, shares: tuple[float, ...]) -> Entry:
    report = Report(
        objective=cell.objective,
        evidence=evidence,
        log_likelihood=-0.1,
        count=1500,
        epochs=2,
        test_nll=1 - accuracy,
        test_accuracy=accuracy,
        rows=rows_of(cell.row, shares),
        others=(),
        warnings=(),
    )
    return entry_of(Outcome(cell, report, seconds=12.3))


Make = Callable[..., Results]


@pytest.fixture
def make() -> Make:
    """make(changes=…, shares=…, spread=…, seeds=…, without=…) gives results around GOOD.

    Seeds lie symmetrically around the figure, `spread` apart; cells with the word `without` are
    left out.
    """

    def results(
        changes: Figures | None = None,
        shares: dict[str, tuple[float, ...]] | None = None,
        spread: float = 0.0,
        seeds: tuple[int, ...] = (0,),
        without: str | None = None,
    ) -> Results:
        figures, given = GOOD | (changes or {}), SHARES | (shares or {})
        middle = (len(seeds) - 1) / 2
        cells = TOY.cells(replace(PRESETS["demo"], seeds=seeds))
        return Results(
            tuple(
                entry_for(
                    cell,
                    figures[cell.column, cell.row][0] + spread * (cell.seed - middle),
                    figures[cell.column, cell.row][1] + spread * (cell.seed - middle),
                    given[cell.column],
                )
                for cell in cells
                if without not in (cell.row, cell.column, cell.objective)
            )
        )

    return results
