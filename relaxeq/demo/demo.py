"""run_demo: train everything, then write tables and picture."""

from pathlib import Path

from rich.console import Console

from relaxeq.demo.problem import TOY
from relaxeq.demo.saving import save
from relaxeq.tables import Preset, Results, results_of, train_table


def run_demo(preset: Preset, out: Path, jobs: int = 2, console: Console | None = None) -> Results:
    """Train the toy problem in processes of one thread; tables and picture go to `out`.

    Each run has its folder there, with checkpoints and a JSON line per epoch. Finished runs are
    read, stopped ones continue. Progress goes to `console` (standard error if None). Raises
    SpecError, CheckpointError for an `out` that holds other settings or cannot be written, and what
    a training raises; what was trained stays.
    """
    outcomes = train_table(TOY, preset, out, jobs, console)
    results = results_of(outcomes)
    save(preset, results, {outcome.run: outcome.report for outcome in outcomes}, out)
    return results
