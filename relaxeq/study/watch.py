"""One progress display for all runs: epochs that their histories count, and time left."""

from collections.abc import Sequence
from types import TracebackType
from typing import Generic, final

from rich import progress as bars
from rich.console import Console
from rich.text import Text

from relaxeq.study.job import Job, RunT
from relaxeq.study.outcome import epochs_done, is_finished, read_outcome


@final
class Watch(Generic[RunT]):
    """Bars on a terminal, elsewhere a line per finished run; both on the given console."""

    def __init__(self, jobs: Sequence[Job[RunT]], console: Console) -> None:
        self.jobs, self.console = jobs, console
        self.finished = {job for job in jobs if is_finished(job.folder)}
        self._bars = bars.Progress(
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(),
            bars.TextColumn("{task.fields[figures]}"),
            bars.TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        total = sum(job.cost for job in jobs)
        self._all = self._bars.add_task("all trainings", total=total, figures=self._count())
        self._bars.update(self._all, completed=self._done())
        self._each: dict[Job[RunT], bars.TaskID] = {}

    def __enter__(self) -> "Watch[RunT]":
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
        for job in self.jobs:
            if job not in self.finished and is_finished(job.folder):
                self.finished.add(job)
                self.console.print(Text(str(read_outcome(job.run, job.folder))), soft_wrap=True)
            self._show(job)
        self._bars.update(self._all, completed=self._done(), figures=self._count())

    def _show(self, job: Job[RunT]) -> None:
        """A bar for a run that is under way, and none before or after."""
        done = epochs_done(job.folder)
        if job not in self._each:
            if not done or job in self.finished:
                return
            self._each[job] = self._bars.add_task(
                job.run.name, total=job.epochs, completed=done, figures=""
            )
        self._bars.update(
            self._each[job],
            completed=done,
            figures=f"epoch {done} of {job.epochs}",
            visible=job not in self.finished,
        )

    def _done(self) -> float:
        return sum(job.cost * epochs_done(job.folder) / job.epochs for job in self.jobs)

    def _count(self) -> str:
        return f"{len(self.finished)} of {len(self.jobs)}"
