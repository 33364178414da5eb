"""What a finished training leaves behind."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, final

from relaxeq.errors import CheckpointError
from relaxeq.recipe import FitResult
from relaxeq.report import Report, read_report, summary, write_page
from relaxeq.study.job import RunT

REPORT, PAGE, HISTORY = "report.json", "report.html", "history.jsonl"


@final
@dataclass(frozen=True)
class Outcome(Generic[RunT]):
    """A finished run: its report, and the seconds that its epochs took."""

    run: RunT
    report: Report
    seconds: float

    def __str__(self) -> str:
        report = self.report
        parts = [f"{self.run.name:38}"]
        if report.test_accuracy is not None:
            parts.append(f"test accuracy {100 * report.test_accuracy:5.1f} %")
        return "  ".join([*parts, f"log evidence {report.evidence:7.3f}", f"{self.seconds:4.0f} s"])


def write_outcome(result: FitResult, title: str, facts: Mapping[str, Any], folder: Path) -> None:
    """Write the page of a finished run, and last its report, by which it counts as finished.

    `facts` stand on the page beside the settings of the fit.
    """
    report = summary(result)
    write_page(folder / PAGE, title, report, report.log, facts)
    report.to_json(folder / REPORT)


def read_outcome(run: RunT, folder: Path) -> Outcome[RunT]:
    """The outcome of a finished run."""
    try:
        lines = (folder / HISTORY).read_text("utf-8").splitlines()
        seconds = sum(json.loads(line)["seconds"] for line in lines)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{folder / HISTORY} is damaged ({error}): delete its folder, and run again."
        ) from error
    return Outcome(run, read_report(folder / REPORT), seconds)


def is_finished(folder: Path) -> bool:
    """Whether the run wrote its report, which it does last."""
    return (folder / REPORT).exists()


def epochs_done(folder: Path) -> int:
    """Epochs in the history so far."""
    file = folder / HISTORY
    return file.read_bytes().count(b"\n") if file.exists() else 0
