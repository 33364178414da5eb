"""Held-out calibration of the Laplace posterior's predictions beside those of the trained network.

    .venv/bin/python experiments/calibration.py

trains the demo's F-FC+CONV network on both tasks, by MAP and by the evidence, and writes NLL,
accuracy and expected calibration error on the test digits to experiments/results/calibration.json
and calibration.md.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.progress import track

import relaxeq as rq
from relaxeq.cli import run_function
from relaxeq.data import TensorLoader, toy_task
from relaxeq.recipe import Options, held_out, posterior
from relaxeq.report import markdown_table, run_facts, save_record

METHODS = (
    ("map", 1.0),
    ("linearised", 1.0),
    ("linearised", 0.1),
    ("sampled", 1.0),
    ("sampled", 0.01),
)
"""How to predict, and the temperature of the posterior."""


@dataclass(frozen=True)
class Config:
    """The demo's F-FC+CONV network and tasks, smaller: half its width, two thirds of its data."""

    tasks: tuple[str, ...] = ("digit", "digit+quadrant")
    objectives: tuple[str, ...] = ("map", "laplace")
    alpha: int = 2
    epochs: int = 60
    lr: float = 0.005
    train: int = 1000
    seed: int = 0


def measured(config: Config, task: str, objective: str) -> list[dict[str, float | str]]:
    torch.manual_seed(config.seed)
    train, test = toy_task(task, train=config.train)
    classes = int(train.tensors[1].max()) + 1
    size = {"alpha": config.alpha, "size": (16, 16)}
    net = rq.models.PaperNet("F-FC+CONV", in_channels=1, classes=classes, **size)
    loader = TensorLoader(train, 128, seed=config.seed)
    options = Options(lr=config.lr, progress=False, seed=config.seed)
    result = rq.fit(net, loader, None, config.epochs, objective, options)
    found = posterior(result, loader)
    held = TensorLoader(test, 99)
    return [
        {"task": task, "objective": objective, "method": method, "temperature": temperature}
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
    results: Annotated[Path, typer.Option(help="Folder of the record.")] = Path(
        "experiments/results"
    ),
    epochs: Annotated[int, typer.Option(min=15, help="Epochs of each run.")] = Config.epochs,
) -> None:
    torch.set_num_threads(1)
    config = Config(epochs=epochs)
    runs = [(task, objective) for task in config.tasks for objective in config.objectives]
    rows = [row for run in track(runs, "trainings") for row in measured(config, *run)]
    data = "UCI digits, 8×8 in quadrants of 16×16 (relaxeq.data.toy_task), 297 for testing"
    facts = run_facts(data, asdict(config))
    stem, title = results / "calibration", "Calibration on held-out digits"
    print(save_record(stem, title, facts, table(rows), {"rows": rows}))


if __name__ == "__main__":
    run_function(main)
