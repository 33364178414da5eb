"""Figures of reports, and their means over seeds."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from relaxeq.report import Report

Measure = Callable[[Report], float]

ACCURACY, NLL, EVIDENCE = "test accuracy (%)", "test NLL (nats)", "log evidence (nats)"
MEASURES: dict[str, Measure] = {
    ACCURACY: lambda report: 100 * (report.test_accuracy or 0.0),
    NLL: lambda report: report.test_nll or 0.0,
    EVIDENCE: lambda report: report.evidence,
}
"""What tables compare; nats are per datum."""

SHOWN = {"map": "MAP", "laplace": "Laplace"}
"""Objectives as the paper writes them."""


@final
@dataclass(frozen=True)
class Figure:
    """Mean over seeds, and their standard deviation (0 for one seed)."""

    mean: float
    std: float

    def text(self, digits: int, several: bool) -> str:
        """The mean, and the deviation over several seeds."""
        deviation = f" ± {self.std:.{digits}f}" if several else ""
        return f"{self.mean:.{digits}f}{deviation}"

    @property
    def percent(self) -> "Figure":
        """A hundred times as much."""
        return Figure(100 * self.mean, 100 * self.std)


def figure_of(values: Sequence[float]) -> Figure:
    """Mean and sample standard deviation."""
    return Figure(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0)
