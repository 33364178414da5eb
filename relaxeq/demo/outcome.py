"""What one run of the demo leaves behind, and how it is trained."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch

from relaxeq.data import CLASSES, TensorLoader, toy_task
from relaxeq.demo.config import DemoConfig, Run
from relaxeq.errors import CheckpointError
from relaxeq.models import PaperNet
from relaxeq.recipe import fit
from relaxeq.report import Report, read_report, summary

REPORT, HISTORY = "report.json", "history.jsonl"


@final
@dataclass(frozen=True)
class Outcome:
    """A finished run: its report, and the seconds that its epochs took."""

    run: Run
    report: Report
    seconds: float

    def __str__(self) -> str:
        accuracy = 100 * (self.report.test_accuracy or 0.0)
        figures = f"test accuracy {accuracy:5.1f} %  log evidence {self.report.evidence:7.3f}"
        return f"{self.run.name:38} {figures}  {self.seconds:4.0f} s"


def read_outcome(run: Run, folder: Path) -> Outcome:
    """The outcome of a finished run."""
    try:
        lines = (folder / HISTORY).read_text("utf-8").splitlines()
        seconds = sum(json.loads(line)["seconds"] for line in lines)
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{folder / HISTORY} is damaged ({error}): delete its folder, and run again."
        ) from error
    return Outcome(run, read_report(folder / REPORT), seconds)


def epochs_done(folder: Path) -> int:
    """Epochs in the history so far."""
    file = folder / HISTORY
    return file.read_bytes().count(b"\n") if file.exists() else 0


def train(config: DemoConfig, run: Run, folder: Path) -> None:
    """Train the run in `folder`, or continue it there; its report is written last."""
    train_set, test_set = toy_task(run.task, config.train, config.test, seed=run.seed)
    with torch.random.fork_rng():
        torch.manual_seed(run.seed)
        net = PaperNet(run.spec, 1, CLASSES[run.task], config.alpha, size=(16, 16))
    result = fit(
        net,
        TensorLoader(train_set, config.batch, seed=run.seed),
        TensorLoader(test_set, config.batch),
        epochs=config.epochs,
        objective=run.objective,
        options=config.options(run),
        run_dir=folder,
    )
    summary(result).to_json(folder / REPORT)
