"""A cell of a table: a network, data and an objective, trained for one seed."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import nn

from relaxeq.data import Sets, Task
from relaxeq.errors import SpecError
from relaxeq.recipe import FitResult, fit
from relaxeq.study.files import SETTINGS, check_settings, unclaimed_if_nothing_came
from relaxeq.study.job import Job
from relaxeq.study.network import Network
from relaxeq.study.outcome import write_outcome
from relaxeq.study.training import Training

SEEDS = 1 << 63
"""How many seeds torch tells apart."""


@final
@dataclass(frozen=True)
class Cell:
    """One training of a table, in the row and column that it belongs to."""

    row: str
    column: str
    network: Network
    task: Task
    training: Training
    objective: str
    seed: int

    def __post_init__(self) -> None:
        check_seed(self.seed)

    @property
    def key(self) -> tuple[str, str, str]:
        """Its place in the table: row, column, objective."""
        return self.row, self.column, self.objective

    @property
    def name(self) -> str:
        """Name of its folder."""
        words = (self.row, self.column, self.objective, f"seed{self.seed}")
        return "_".join(re.sub(r"[^\w+,.-]+", "-", word).strip("-") for word in words).lower()

    @property
    def settings(self) -> dict[str, Any]:
        """All that its numbers depend on, as JSON values."""
        parts = {"network": repr(self.network), "data": repr(self.task)}
        return parts | self.training.record() | {"objective": self.objective, "seed": self.seed}

    def build(self, sets: Sets) -> nn.Module:
        """The network before training, drawn on the CPU from the seed alone."""
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            return self.network.build(sets)

    def job(self, out: Path) -> Job["Cell"]:
        """The training in its folder below `out`."""
        length = self.training.epochs * self.network.cost
        cost = length * (1.5 if self.objective == "laplace" else 1.0)
        return Job(self, out / self.name, self.training.epochs, cost)


def check_seed(seed: int) -> None:
    """Raise SpecError for a seed that torch cannot take."""
    if not 0 <= seed < SEEDS:
        raise SpecError(f"seed={seed} must be from 0 to {SEEDS - 1}.")


def check_cell(cell: Cell, folder: Path) -> None:
    """Say in `folder` which cell it holds, or raise CheckpointError if it holds another one."""
    check_settings(cell.settings, folder / SETTINGS, "folder")


def check_device(device: str) -> None:
    """Raise SpecError unless torch can compute there."""
    try:
        torch.zeros(1, device=device).add(1).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        cause = str(error).partition("\n")[0]
        raise SpecError(
            f"device={device!r} cannot be used: {cause}. Write cpu, or cuda."
        ) from error


def fit_cell(
    cell: Cell, folder: Path | None = None, progress: bool = False, device: str = "cpu"
) -> FitResult:
    """Train the cell, in `folder` if there is one, or continue it there.

    Data and weights are drawn on the CPU, the same for every `device` of the network. Raises
    SpecError for no such device, CheckpointError for a folder of other settings, and what
    `relaxeq.fit` raises; where nothing was trained, the folder takes other settings.
    """
    if folder is None:
        return _fit(cell, folder, progress, device)
    check_cell(cell, folder)
    with unclaimed_if_nothing_came(folder / SETTINGS):
        return _fit(cell, folder, progress, device)


def _fit(cell: Cell, folder: Path | None, progress: bool, device: str) -> FitResult:
    check_device(device)
    sets = cell.task.load(cell.seed)
    net = cell.build(sets).to(device)
    train, test = cell.training.loaders(sets, cell.seed)
    options = cell.training.options(cell.seed, progress)
    epochs, objective = cell.training.epochs, cell.objective
    return fit(net, train, test, epochs, objective, options, run_dir=folder)


def train_cell(cell: Cell, folder: Path, progress: bool = False, device: str = "cpu") -> None:
    """`fit_cell` in a folder that gets page and report too; the report is written last."""
    result = fit_cell(cell, folder, progress, device)
    facts = {"data": cell.task.describe(), "network": cell.network, "seed": cell.seed}
    write_outcome(result, f"{cell.row}, {cell.column}, {cell.objective}", facts, folder)
