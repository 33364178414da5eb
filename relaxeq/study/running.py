"""train_all: the trainings of a study that are not finished yet, several at a time."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from rich.console import Console
from rich.text import Text

from relaxeq.errors import RelaxeqError, SpecError
from relaxeq.study.job import Job, RunT
from relaxeq.study.outcome import Outcome, read_outcome
from relaxeq.study.pool import run_all
from relaxeq.study.watch import Watch

Work = Callable[[RunT, Path], None]
"""Trains a run in a folder, or continues it there, and writes its report last."""


def train_all(
    jobs: Sequence[Job[RunT]], work: Work[RunT], processes: int, console: Console | None = None
) -> tuple[Outcome[RunT], ...]:
    """The outcomes of all jobs in order, trained in that many processes of one thread each.

    Finished jobs are read, stopped ones continue. Progress goes to `console` (standard error if
    None). Raises SpecError, CheckpointError for folders that cannot be written, and what a training
    raises; what was trained stays. `work` must be picklable.
    """
    check_processes(processes)
    shown = console or Console(stderr=True)
    start = time.perf_counter()
    with Watch(jobs, shown) as watch:
        open_jobs = [job for job in jobs if job not in watch.finished]
        _train([(job.run, job.folder) for job in open_jobs], work, processes, watch)
        watch()
    outcomes = tuple(read_outcome(job.run, job.folder) for job in jobs)
    spent = time.perf_counter() - start
    places = sorted({str(job.folder.parent) for job in jobs})
    text = f"{len(open_jobs)} trainings, {spent:.0f} s; see {', '.join(places)}"
    shown.print(Text(text), soft_wrap=True)
    return outcomes


def check_processes(processes: int) -> None:
    """Raise SpecError unless there is at least one process."""
    if processes < 1:
        raise SpecError(f"jobs={processes} must be at least 1 process.")


def _train(
    arguments: Sequence[tuple[RunT, Path]],
    work: Work[RunT],
    processes: int,
    watch: Callable[[], None],
) -> None:
    if not arguments:
        return
    try:
        run_all(work, arguments, processes, watch)
    except BrokenProcessPool as error:
        raise RelaxeqError(
            "a training process was ended from outside, perhaps for want of memory: run again with "
            "jobs=1; finished runs stay, and the others continue."
        ) from error
