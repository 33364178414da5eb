"""run_demo: train everything, then write tables and picture."""

import json
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from rich.console import Console
from rich.text import Text

from relaxeq.demo.config import DemoConfig, Run
from relaxeq.demo.outcome import read_outcome, train
from relaxeq.demo.pool import run_all
from relaxeq.demo.results import Results
from relaxeq.demo.saving import save_results
from relaxeq.demo.watch import Watch
from relaxeq.errors import CheckpointError, RelaxeqError, SpecError
from relaxeq.report import write_text

SETTINGS = "settings.json"


def run_demo(
    config: DemoConfig, out: Path, jobs: int = 2, console: Console | None = None
) -> Results:
    """Train all runs of `config` in processes of one thread; tables and picture go to `out`.

    Each run has its folder there, with checkpoints and a JSON line per epoch. Finished runs are
    read, stopped ones continue. Progress goes to `console` (standard error if None). Raises
    SpecError, CheckpointError for an `out` that holds other settings or cannot be written, and what
    a training raises; what was trained stays.
    """
    if jobs < 1:
        raise SpecError(f"jobs={jobs} must be at least 1 process.")
    _check_settings(config, out)
    runs = config.runs()
    folders = {run: out / run.name for run in runs}
    shown = console or Console(stderr=True)
    start = time.perf_counter()
    with Watch(config, folders, shown) as watch:
        open_runs = [run for run in runs if run not in watch.finished]
        _train_all([(config, run, folders[run]) for run in open_runs], jobs, watch)
        watch()
    outcomes = tuple(read_outcome(run, folders[run]) for run in runs)
    spent = time.perf_counter() - start
    shown.print(Text(f"{len(open_runs)} trainings, {spent:.0f} s; see {out}"), soft_wrap=True)
    results = Results(config, outcomes)
    save_results(results, out)
    return results


def _train_all(arguments: list[tuple[DemoConfig, Run, Path]], jobs: int, watch: Watch) -> None:
    if not arguments:
        return
    try:
        run_all(train, arguments, jobs, watch)
    except BrokenProcessPool as error:
        raise RelaxeqError(
            "a training process was ended from outside, perhaps for want of memory: run again with "
            "jobs=1; finished runs stay, and the others continue."
        ) from error


def _check_settings(config: DemoConfig, out: Path) -> None:
    """Refuse to mix runs of different settings in one folder."""
    file, wanted = out / SETTINGS, json.dumps(config.record()) + "\n"
    if not file.exists():
        write_text(wanted, file)
    elif (found := file.read_text("utf-8")) != wanted:
        raise CheckpointError(
            f"out={str(out)!r} holds runs with other settings{_difference(found, config)}: choose "
            "another folder, or delete that one."
        )


def _difference(found: str, config: DemoConfig) -> str:
    try:
        theirs = dict(json.loads(found))
    except (TypeError, ValueError):
        return ""
    ours = config.record()
    unequal = [key for key in ours if theirs.get(key) != ours[key]]
    return "".join(f", {key}={theirs.get(key)!r} and not {ours[key]!r}" for key in unequal)
