"""The demo over several seeds: means and deviations of Tables 1 and 4, and what they must show.

    .venv/bin/python experiments/demo_seeds.py

trains (or continues) in runs/demo_seeds and writes experiments/results/demo.json and demo.md.
The exit code is 1 if one of the claims does not hold.
"""

from dataclasses import replace
from pathlib import Path

import typer
from options import RESULTS, TOY_DATA, Jobs, PresetName, Results, Runs, Seeds

from relaxeq.cli import run_function
from relaxeq.demo import TOY, claims, markdown, run_demo, table1_record
from relaxeq.report import run_facts, save_record


def main(
    seeds: Seeds = 3,
    jobs: Jobs = 2,
    preset: PresetName = "long",
    out: Runs = Path("runs/demo_seeds"),
    results: Results = RESULTS,
) -> None:
    settings = replace(TOY.preset(preset), seeds=tuple(range(seeds)))
    found = run_demo(settings, out, jobs)
    facts = run_facts(TOY_DATA, settings.record() | {"seeds": list(range(seeds)), "jobs": jobs})
    stem, title = results / "demo", "The demo over seeds, mean ± standard deviation"
    save_record(stem, title, facts, markdown(found), table1_record(settings, found))
    raise typer.Exit(int(not all(claim.holds for claim in claims(found))))


if __name__ == "__main__":
    run_function(main)
