"""Options and data that several experiments share."""

from pathlib import Path
from typing import Annotated

import typer

from relaxeq.demo import PRESETS

RESULTS = Path("experiments/results")
TOY_DATA = "UCI digits, 8×8 in quadrants of 16×16 (relaxeq.data.toy_task)"

Results = Annotated[Path, typer.Option(help="Folder of the record.")]
Runs = Annotated[Path, typer.Option(help="Folder of the runs, which continue there.")]
PresetName = Annotated[str, typer.Option(help=f"One of {', '.join(PRESETS)}.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of data, weights and batches.")]
Seeds = Annotated[int, typer.Option(min=1, help="How many, counted from 0.")]
Jobs = Annotated[int, typer.Option(min=1, help="Trainings at a time.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads of torch.")]
