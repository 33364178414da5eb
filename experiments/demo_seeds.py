"""The demo over several seeds: means and deviations of Tables 1 and 4, and what they must show.

    .venv/bin/python experiments/demo_seeds.py

trains (or continues) in runs/demo_seeds and writes experiments/results/demo.json and demo.md.
The exit code is 1 if one of the claims does not hold.
"""

import datetime
import platform
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from relaxeq.cli import run_function
from relaxeq.demo import PRESETS, claims, markdown, run_demo, table1_record, to_json
from relaxeq.report import write_text

DATA = "UCI digits, 8×8 in quadrants of 16×16 (relaxeq.data.toy_task)"


def main(
    seeds: Annotated[int, typer.Option(min=2, help="How many, counted from 0.")] = 3,
    jobs: Annotated[int, typer.Option(min=1, help="Trainings at a time.")] = 2,
    preset: Annotated[str, typer.Option(help=f"One of {', '.join(PRESETS)}.")] = "long",
    out: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/demo_seeds"),
    results: Annotated[Path, typer.Option(help="Folder of the record.")] = Path(
        "experiments/results"
    ),
) -> None:
    config = replace(PRESETS[preset], seeds=tuple(range(seeds)))
    found = run_demo(config, out, jobs)
    facts = {
        "command": " ".join(["python experiments/demo_seeds.py", *sys.argv[1:]]),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "data": DATA,
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {jobs} processes of one thread",
    }
    write_text(to_json(facts | table1_record(found)), results / "demo.json")
    settings = {"settings": f"{found.config.record()}, seeds 0 to {seeds - 1}, mean ± std"}
    lines = [f"- {key}: {value}\n" for key, value in (facts | settings).items()]
    text = "# The demo over seeds\n\n" + "".join(lines) + "\n" + markdown(found)
    write_text(text, results / "demo.md")
    raise typer.Exit(int(not all(claim.holds for claim in claims(found))))


if __name__ == "__main__":
    run_function(main)
