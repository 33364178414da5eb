"""Why the demo's learned layers keep F-FC where they halve the grid: four places are not all.

    .venv/bin/python experiments/all_shifts.py

In the demo a digit lies in one of four quadrants, so a factored layer needs four templates only,
where the polyphase choice of a convolution throws three of four values away. Here each image is
also shifted at random over the whole 16×16 torus (256 places). The same network is trained by the
marginal likelihood, and experiments/results/all_shifts.{json,md} hold what its layers kept.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

import relaxeq as rq
from relaxeq.data import TensorLoader, ToyTask
from relaxeq.demo import PRESETS
from relaxeq.report import markdown_table, run_facts, save_record
from relaxeq.tables import Preset


def shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each image rolled by its own random shift of the torus."""
    shifts = torch.randint(0, images.shape[-1], (len(images), 2), generator=generator)
    rolled = [x.roll(tuple(d), (1, 2)) for x, d in zip(images, shifts.tolist(), strict=True)]
    return torch.stack(rolled)


def learned(preset: Preset, seed: int) -> rq.Report:
    sets = ToyTask("digit", preset.train, preset.test).load(seed)
    draws = torch.Generator().manual_seed(seed)
    (x, y), (x_test, y_test) = sets.train.tensors, sets.test.tensors
    x = shifted(x, draws)
    torch.manual_seed(seed)
    net = rq.models.PaperNet("F-FC+CONV", 1, sets.outputs, preset.alpha(10), sets.size)
    held_out = TensorLoader((shifted(x_test, draws), y_test), 512)
    training = preset.training
    loader = TensorLoader((x, y), training.batch, seed=seed)
    options = training.options(seed, progress=True)
    return rq.summary(rq.fit(net, loader, held_out, training.epochs, options=options))


def main(
    seeds: Annotated[int, typer.Option(min=1, help="How many, counted from 0.")] = 3,
    preset: Annotated[str, typer.Option(help=f"One of {', '.join(PRESETS)}.")] = "long",
    results: Annotated[Path, typer.Option(help="Folder of the record.")] = Path(
        "experiments/results"
    ),
) -> None:
    torch.set_num_threads(1)
    settings = PRESETS[preset]
    reports = [learned(settings, seed) for seed in range(seeds)]
    data = "UCI digits, 8×8 on 16×16 tori, every image shifted at random"
    facts = run_facts(data, settings.record() | {"seeds": list(range(seeds))})
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
    typer.run(main)
