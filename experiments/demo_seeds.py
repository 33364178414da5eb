"""The demo over several seeds: means and deviations of Tables 1 and 4, and what they must show.

    .venv/bin/python experiments/demo_seeds.py

trains (or continues) in runs/demo_seeds and writes experiments/results/demo.json and demo.md.
The exit code is 1 if one of the claims does not hold.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from relaxeq.cli import run_function
from relaxeq.demo import PRESETS, claims, markdown, run_demo, table1_record
from relaxeq.report import run_facts, save_record

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
    settings = replace(PRESETS[preset], seeds=tuple(range(seeds)))
    found = run_demo(settings, out, jobs)
    facts = run_facts(DATA, settings.record() | {"seeds": list(range(seeds)), "jobs": jobs})
    stem, title = results / "demo", "The demo over seeds, mean ± standard deviation"
    save_record(stem, title, facts, markdown(found), table1_record(settings, found))
    raise typer.Exit(int(not all(claim.holds for claim in claims(found))))


if __name__ == "__main__":
    run_function(main)
