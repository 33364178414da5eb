"""relaxeq demo: the main job."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from relaxeq.cli.console import wide_console
from relaxeq.cli.stopping import continuing
from relaxeq.demo import PRESETS, TOY, run_demo, table1_record, terminal
from relaxeq.study import to_json


def demo(
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("runs/demo"),
    jobs: Annotated[int, typer.Option(min=1, help="Trainings at a time, one thread each.")] = 2,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of every training.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of data, weights and batches.")] = 0,
    preset: Annotated[str, typer.Option(help=f"Settings: {', '.join(PRESETS)}.")] = "demo",
    as_json: Annotated[bool, typer.Option("--json", help="Print Table 1 as JSON.")] = False,
) -> None:
    """Learn layer-wise symmetry from handwritten digits: Tables 1 and 4, and a picture.

    Digits lie in one of four quadrants. Task one is the digit, which shifts leave alone; task two
    is digit and quadrant. F-FC, CONV and F-FC+CONV are trained by MAP and by the Laplace marginal
    likelihood. A stopped demo continues when it is called again.

    \b
    Examples:
      relaxeq demo
      relaxeq demo --preset quick --out runs/quick
      relaxeq demo --jobs 4 --seed 1 --out runs/seed1 --json
    """
    settings = replace(TOY.preset(preset), seeds=(seed,)).resized(epochs)
    with continuing():
        results = run_demo(settings, out, jobs)
    if as_json:
        typer.echo(to_json(table1_record(settings, results)), nl=False)
    else:
        wide_console().print(terminal(results))
