"""Table: what a table of the paper trains, shows and claims."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from matplotlib.figure import Figure

from relaxeq.data import SOURCES, Task
from relaxeq.errors import SpecError
from relaxeq.study import ACCURACY, EVIDENCE, NLL, Cell, Claim, Network
from relaxeq.tables.preset import OBJECTIVES, Preset
from relaxeq.tables.results import Key, Results

OURS = {"digits", "made"}
"""Data that come with relaxeq, and have no folder."""

Section = Callable[["Table", Results], str]
"""A part of a page: markdown, empty where it does not apply."""


@final
@dataclass(frozen=True)
class Picture:
    """A figure beside a table: its file's name, what it shows, and how it is drawn."""

    name: str
    caption: str
    draw: Callable[[Results], Figure | None]


Printed = Mapping[Key, Mapping[str, float]]
"""The paper's figures: cell ↦ measure ↦ value."""


def printed_scores(figures: Mapping[tuple[str, str], Sequence[float]]) -> Printed:
    """Five figures of the paper for each (row, column), as it prints them.

    NLL and accuracy by MAP; NLL, accuracy and minus log evidence by Laplace.
    """
    found: dict[Key, Mapping[str, float]] = {}
    for (row, column), five in figures.items():
        found[row, column, "map"] = {NLL: five[0], ACCURACY: five[1]}
        found[row, column, "laplace"] = {NLL: five[2], ACCURACY: five[3], EVIDENCE: -five[4]}
    return found


@final
@dataclass(frozen=True, eq=False)
class Table:
    """A table as a value: every network on every task by every objective, a cell each.

    name       "1", or a word
    rows       networks by label, at a preset
    columns    tasks by label, at a preset
    printed    the paper's figures
    claims     what must hold, judged from the results
    sections   the parts of its page
    picture    a figure of the newest block, if there is one
    known      the data sets that it can take
    several    whether it takes more than one of them
    """

    name: str
    title: str
    presets: Mapping[str, Preset]
    rows: Callable[[Preset], Mapping[str, Network]]
    columns: Callable[[Preset], Mapping[str, Task]]
    claims: Callable[[Results], tuple[Claim, ...]]
    sections: tuple[Section, ...]
    printed: Printed
    objectives: tuple[str, ...] = OBJECTIVES
    picture: Picture | None = None
    known: tuple[str, ...] = tuple(SOURCES)
    several: bool = False

    @property
    def stem(self) -> str:
        """Name of its files."""
        return f"table{self.name}" if self.name.isdigit() else self.name

    def preset(self, name: str) -> Preset:
        """The preset of that name. Raises SpecError for another one."""
        if name not in self.presets:
            raise SpecError(f"preset={name!r} must be one of {', '.join(self.presets)}.")
        return self.presets[name]

    def cells(self, preset: Preset) -> tuple[Cell, ...]:
        """All trainings, the longest first, so that several processes end at about one time.

        Raises SpecError for data that the table does not take.
        """
        self._check(preset)
        cells = [
            Cell(row, column, network, task, preset.training_on(task), objective, seed)
            for seed in preset.seeds
            for column, task in self.columns(preset).items()
            for row, network in self.rows(preset).items()
            for objective in self.objectives
        ]
        return tuple(cells)

    def _check(self, preset: Preset) -> None:
        shown = ",".join(preset.data)
        if not set(preset.data) <= set(self.known):
            raise SpecError(f"data={shown!r} must be of {', '.join(self.known)} in this table.")
        if len(preset.data) > 1 and not self.several:
            raise SpecError(f"data={shown!r}: this table takes one data set, run it once for each.")
        if preset.root is not None and set(preset.data) <= OURS:
            raise SpecError(f"root={preset.root!r}: {shown} needs no files, leave root out.")
