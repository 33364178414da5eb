"""Held-out calibration of the Laplace posterior's predictions beside those of the trained network.

    .venv/bin/python experiments/calibration.py

trains (or continues) the demo's F-FC+CONV networks in runs/calibration, on both tasks, by MAP and
by the evidence, and writes NLL, accuracy and expected calibration error on the test digits to
experiments/results/calibration.json and calibration.md.
"""

from dataclasses import asdict, replace
from pathlib import Path

import torch
from options import RESULTS, TOY_DATA, PresetName, Results, Runs, Seed
from rich.progress import track

from relaxeq.cli import run_function
from relaxeq.data import TensorLoader
from relaxeq.demo import TOY
from relaxeq.recipe import held_out, posterior
from relaxeq.report import markdown_table, run_facts, save_record
from relaxeq.study import Cell, fit_cell

SPEC = "F-FC+CONV"
METHODS = (
    ("map", 1.0),
    ("linearised", 1.0),
    ("linearised", 0.1),
    ("sampled", 1.0),
    ("sampled", 0.01),
)
"""How to predict, and the temperature of the posterior."""
BATCH = 99
"""Digits of which the linearised outputs are held at a time."""


def measured(cell: Cell, folder: Path) -> list[dict[str, float | str]]:
    result = fit_cell(cell, folder)
    sets = cell.task.load(cell.seed)
    loader, _ = cell.training.loaders(sets, cell.seed)
    found, held = posterior(result, loader), TensorLoader(sets.test, BATCH)
    torch.manual_seed(cell.seed)
    base = {"task": cell.column, "objective": cell.objective}
    return [
        base
        | {"method": method, "temperature": temperature}
        | asdict(held_out(found.tempered(temperature), held, method))
        for method, temperature in METHODS
    ]


def table(rows: list[dict]) -> str:
    cells = [
        [row["task"], row["objective"], row["method"], f"{row['temperature']:g}"]
        + [f"{row['nll']:.3f}", f"{100 * row['accuracy']:.1f} %", f"{100 * row['ece']:.1f} %"]
        for row in rows
    ]
    head = ["task", "weights by", "prediction", "T", "test NLL (nats)", "test accuracy", "ECE"]
    return markdown_table(head, cells, left=3)


def main(
    preset: PresetName = "demo",
    seed: Seed = 0,
    out: Runs = Path("runs/calibration"),
    results: Results = RESULTS,
) -> None:
    torch.set_num_threads(1)
    settings = replace(TOY.preset(preset), seeds=(seed,))
    cells = [cell for cell in TOY.cells(settings) if cell.row == SPEC]
    rows = [row for cell in track(cells, "trainings") for row in measured(cell, out / cell.name)]
    facts = run_facts(TOY_DATA, settings.record() | {"spec": SPEC, "preset": preset, "seed": seed})
    stem, title = results / "calibration", "Calibration on held-out digits"
    print(save_record(stem, title, facts, table(rows), {"rows": rows}))


if __name__ == "__main__":
    run_function(main)
