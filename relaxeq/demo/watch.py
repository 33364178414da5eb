"""One progress display for all runs: epochs that their histories count, and time left."""

from pathlib import Path
from types import TracebackType
from typing import final

from rich import progress as bars
from rich.console import Console
from rich.text import Text

from relaxeq.demo.config import DemoConfig, Run
from relaxeq.demo.outcome import REPORT, epochs_done, read_outcome


@final
class Watch:
    """Bars on a terminal, elsewhere a line per finished run; both on the given console."""

    def __init__(self, config: DemoConfig, folders: dict[Run, Path], console: Console) -> None:
        self.config, self.folders, self.console = config, folders, console
        self.finished: set[Run] = {run for run in folders if self._is_finished(run)}
        self._bars = bars.Progress(
            bars.TextColumn("{task.description}"),
            bars.BarColumn(),
            bars.TextColumn("{task.fields[figures]}"),
            bars.TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        total = sum(config.cost(run) for run in folders)
        self._all = self._bars.add_task("all trainings", total=total, figures=self._count())
        self._bars.update(self._all, completed=self._done())
        self._each: dict[Run, bars.TaskID] = {}

    def __enter__(self) -> "Watch":
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def __call__(self) -> None:
        """Look at the folders and show what is new."""
        for run, folder in self.folders.items():
            if run not in self.finished and self._is_finished(run):
                self.finished.add(run)
                self.console.print(Text(str(read_outcome(run, folder))), soft_wrap=True)
            self._show(run)
        self._bars.update(self._all, completed=self._done(), figures=self._count())

    def _show(self, run: Run) -> None:
        """A bar for a run that is under way, and none before or after."""
        done = epochs_done(self.folders[run])
        if run not in self._each:
            if not done or run in self.finished:
                return
            self._each[run] = self._bars.add_task(
                run.name, total=self.config.epochs, completed=done, figures=""
            )
        self._bars.update(
            self._each[run],
            completed=done,
            figures=f"epoch {done} of {self.config.epochs}",
            visible=run not in self.finished,
        )

    def _is_finished(self, run: Run) -> bool:
        return (self.folders[run] / REPORT).exists()

    def _done(self) -> float:
        shares = {run: epochs_done(f) / self.config.epochs for run, f in self.folders.items()}
        return sum(self.config.cost(run) * share for run, share in shares.items())

    def _count(self) -> str:
        return f"{len(self.finished)} of {len(self.folders)}"
