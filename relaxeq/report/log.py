"""What happened on the way to a report: the settings of a run, and its epochs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

from relaxeq.errors import CheckpointError
from relaxeq.recipe import FitResult, read_run
from relaxeq.report.files import PathLike

SERIES = ("evidence", "train_nll", "test_nll", "test_accuracy", "test_rmse")
"""What is drawn over epochs."""


@final
@dataclass(frozen=True)
class RunLog:
    """Settings of a fit by name, and a dict per epoch, as in `FitResult.history`."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[Mapping[str, Any], ...] = ()

    def series(self, name: str) -> tuple[tuple[float, float], ...]:
        """The epochs in which `name` was written down, and its values."""
        return tuple((float(row["epoch"]), float(row[name])) for row in self.history if name in row)


def log_of(result: FitResult) -> RunLog:
    """The log of a fit."""
    return RunLog(result.settings, tuple(result.history))


def read_log(run_dir: PathLike) -> RunLog:
    """The log in a run folder, an empty one if there is none. Raises CheckpointError if damaged."""
    settings, history = read_run(run_dir)
    try:
        if not all(isinstance(row, dict) and "epoch" in row for row in history):
            raise TypeError("a line is no epoch")
        log = RunLog(settings, tuple(history))
        for name in SERIES:
            log.series(name)
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"run_dir={str(run_dir)!r} holds a damaged history ({error}): "
            "restore it, or delete the folder and train again."
        ) from error
    return log
