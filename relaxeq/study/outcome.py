"""What a finished training leaves behind."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, final

from relaxeq.errors import CheckpointError
from relaxeq.report import Report, read_report
from relaxeq.study.job import RunT

REPORT, HISTORY = "report.json", "history.jsonl"


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


def read_outcome(run: RunT, folder: Path) -> Outcome[RunT]:
    """The outcome of a finished run."""
    try:
        lines = (folder / HISTORY).read_text("utf-8").splitlines()
        seconds = sum(json.loads(line)["seconds"] for line in lines)
    except (OSError, ValueError, KeyError) as error:
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
