"""Results of a table: reports by row, column, objective and seed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, final

from relaxeq.report import Report, Row, by_layer, report_from
from relaxeq.study import MEASURES, Cell, Figure, Outcome, figure_of

Key = tuple[str, str, str]
"""Row, column, objective."""


@final
@dataclass(frozen=True)
class Entry:
    """A finished cell. Of its report the biases are left out; `parameters` counts them."""

    row: str
    column: str
    objective: str
    seed: int
    parameters: int
    seconds: float
    report: Report

    @property
    def key(self) -> Key:
        """The cell of the table, whatever the seed."""
        return self.row, self.column, self.objective

    def record(self) -> dict[str, Any]:
        """The entry as JSON values, which `entry_from` takes back."""
        values = {name: getattr(self, name) for name in ("row", "column", "objective", "seed")}
        sizes = {"parameters": self.parameters, "seconds": self.seconds}
        return values | sizes | {"report": self.report.record()}


def entry_of(outcome: Outcome[Cell]) -> Entry:
    """What is kept of an outcome."""
    cell, report = outcome.run, outcome.report
    return Entry(
        *cell.key, cell.seed, report.size, round(outcome.seconds, 1), replace(report, others=())
    )


def entry_from(values: Mapping[str, Any]) -> Entry:
    """The inverse of `Entry.record`."""
    return Entry(**dict(values) | {"report": report_from(values["report"])})


@final
@dataclass(frozen=True)
class Results:
    """Entries of one preset on the same data."""

    entries: tuple[Entry, ...]

    def merged(self, newer: Iterable[Entry]) -> "Results":
        """Newer entries, and these where there is none of the same cell and seed.

        The newer come first: a table that was recorded in part gets the order of the whole.
        """
        found: dict[tuple[Key, int], Entry] = {}
        for entry in (*newer, *self.entries):
            found.setdefault((entry.key, entry.seed), entry)
        return Results(tuple(found.values()))

    @property
    def rows(self) -> tuple[str, ...]:
        """Labels of rows, in the order in which they came."""
        return tuple(dict.fromkeys(entry.row for entry in self.entries))

    @property
    def columns(self) -> tuple[str, ...]:
        """Labels of columns."""
        return tuple(dict.fromkeys(entry.column for entry in self.entries))

    @property
    def objectives(self) -> tuple[str, ...]:
        """Objectives."""
        return tuple(dict.fromkeys(entry.objective for entry in self.entries))

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds for which anything is finished, in order."""
        return tuple(sorted({entry.seed for entry in self.entries}))

    @property
    def keys(self) -> tuple[Key, ...]:
        """The cells that are there."""
        return tuple(dict.fromkeys(entry.key for entry in self.entries))

    def parameters(self, row: str, column: str) -> int | None:
        """P of a network on a task; None if it was not trained."""
        sizes = (e.parameters for e in self.entries if (e.row, e.column) == (row, column))
        return next(sizes, None)

    def cell(self, key: Key) -> tuple[Entry, ...]:
        """The entries of a cell, one per seed."""
        found = [entry for entry in self.entries if entry.key == key]
        return tuple(sorted(found, key=lambda entry: entry.seed))

    def figure(self, measure: str, key: Key) -> Figure | None:
        """A measure of a cell over its seeds; None for a cell that was not trained."""
        values = [MEASURES[measure](entry.report) for entry in self.cell(key)]
        return figure_of(values) if values else None

    def mean(self, measure: str, key: Key) -> float | None:
        """The mean of `figure`."""
        figure = self.figure(measure, key)
        return None if figure is None else figure.mean

    def learned(self) -> tuple[Key, ...]:
        """The cells that could choose: several paths, precisions learned by the evidence."""
        keys = dict.fromkeys(e.key for e in self.entries if e.objective == "laplace")
        return tuple(key for key in keys if len(self.layers(key)[0]) > 1)

    def layers(self, key: Key) -> list[tuple[Row, ...]]:
        """The rows of each layer of a cell's first seed."""
        return by_layer(self.cell(key)[0].report.rows)

    def shares(self, key: Key, path: str) -> list[Figure]:
        """Per layer the relative effective number of parameters of a path, over seeds."""
        tables = [by_layer(entry.report.rows) for entry in self.cell(key)]
        return [
            figure_of([row.share for layer in layers for row in layer if row.path == path])
            for layers in zip(*tables, strict=True)
        ]

    def paths(self, key: Key) -> tuple[str, ...]:
        """The paths of a cell's layers."""
        return tuple(dict.fromkeys(row.path for row in self.cell(key)[0].report.rows))


def results_of(outcomes: Iterable[Outcome[Cell]]) -> Results:
    """What is kept of outcomes, in their order."""
    return Results(tuple(entry_of(outcome) for outcome in outcomes))
