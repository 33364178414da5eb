"""One training of the demo."""

from pathlib import Path

import torch

from relaxeq.data import CLASSES, TensorLoader, toy_task
from relaxeq.demo.config import DemoConfig, Run
from relaxeq.models import PaperNet
from relaxeq.recipe import fit
from relaxeq.study import write_outcome


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
    facts = {"data": "UCI digits in quadrants of 16×16", "alpha": config.alpha, "seed": run.seed}
    write_outcome(result, f"{run.spec} on {run.task}, {run.objective}", facts, folder)
