"""run_demo: train everything, then write tables and picture."""

from functools import partial
from pathlib import Path

from rich.console import Console

from relaxeq.demo.config import DemoConfig
from relaxeq.demo.results import Results
from relaxeq.demo.saving import save_results
from relaxeq.demo.training import train
from relaxeq.study import Job, check_processes, check_settings, train_all

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
    check_processes(jobs)
    check_settings(config.record(), out / SETTINGS, "out")
    todo = [Job(run, out / run.name, config.epochs, config.cost(run)) for run in config.runs()]
    results = Results(config, train_all(todo, partial(train, config), jobs, console))
    save_results(results, out)
    return results
