"""Why the demo's learned layers keep F-FC where they halve the grid: four places are not all.

    .venv/bin/python experiments/all_shifts.py

In the demo a digit lies in one of four quadrants, so a factored layer needs four templates only,
where the polyphase choice of a convolution throws three of four values away. Here each image is
also shifted at random over the whole 16×16 torus (256 places). The same network is trained by the
marginal likelihood in runs/all_shifts, where it continues, and
experiments/results/all_shifts.{json,md} hold what its layers kept.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from options import RESULTS, PresetName, Results, Runs, Seeds
from torch import Tensor
from torch.utils.data import TensorDataset

import relaxeq as rq
from relaxeq.cli import run_function
from relaxeq.data import Sets, Task
from relaxeq.demo import TOY
from relaxeq.report import markdown_table, run_facts, save_record
from relaxeq.study import fit_cell


@dataclass(frozen=True)
class AllShifts(Task):
    """A task whose every image is rolled by its own random shift of the torus."""

    task: Task

    @property
    def source(self) -> str:
        return self.task.source

    def load(self, seed: int = 0) -> Sets:
        sets, draws = self.task.load(seed), torch.Generator().manual_seed(seed)
        parts = (part.tensors for part in (sets.train, sets.test))
        train, test = (TensorDataset(shifted(x, draws), y) for x, y in parts)
        return replace(sets, train=train, test=test)

    def describe(self) -> str:
        return f"{self.task.describe()}, every image shifted at random over its torus"


def shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    shifts = torch.randint(0, images.shape[-1], (len(images), 2), generator=generator)
    rolled = [x.roll(tuple(d), (1, 2)) for x, d in zip(images, shifts.tolist(), strict=True)]
    return torch.stack(rolled)


def main(
    seeds: Seeds = 3,
    preset: PresetName = "long",
    out: Runs = Path("runs/all_shifts"),
    results: Results = RESULTS,
) -> None:
    torch.set_num_threads(1)
    settings = replace(TOY.preset(preset), seeds=tuple(range(seeds)))
    chosen = ("F-FC+CONV", "digit", "laplace")
    cells = [replace(c, task=AllShifts(c.task)) for c in TOY.cells(settings) if c.key == chosen]
    reports = [rq.summary(fit_cell(cell, out / cell.name, progress=True)) for cell in cells]
    facts = run_facts(cells[0].task.describe(), settings.record() | {"seeds": list(range(seeds))})
    rows = [[asdict(row) for row in report.rows] for report in reports]
    accuracies = [report.test_accuracy or 0.0 for report in reports]
    shares = [[row.share for row in report.rows if row.path == "CONV"] for report in reports]
    lines = [
        [f"layers.{k}", *(f"{100 * share[k]:.0f} %" for share in shares)]
        for k in range(len(shares[0]))
    ]
    lines.append(["test accuracy", *(f"{100 * value:.1f} %" for value in accuracies)])
    table = markdown_table(["share of CONV", *(f"seed {s}" for s in range(seeds))], lines)
    values = {"accuracies": accuracies, "rows": rows}
    save_record(results / "all_shifts", "Digits at every place of the torus", facts, table, values)
    print(table)


if __name__ == "__main__":
    run_function(main)
