"""The six sparse rows of Table 2, S-FC and S-CONV with priors on anchors or lengthscales, on digits.

    .venv/bin/python experiments/sparse_specs.py --mnist ROOT

trains PaperNet by MAP and by the Laplace marginal likelihood on the embedded 8×8 digits, and with
--mnist on MNIST padded to 32×32 (ROOT as torchvision.datasets.MNIST takes it; nothing is
downloaded). Runs lie in --out and continue where they were. experiments/results/sparse_specs.json
and sparse_specs.md hold the figures, and what S-FC+S-CONV kept in every layer.
"""

import datetime
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor
from torch.nn import functional
from torchvision.datasets import MNIST

import relaxeq as rq
from relaxeq.cli import run_function
from relaxeq.data import TensorLoader, load_digits
from relaxeq.paths import SparsePath
from relaxeq.report import markdown_table, write_text

SPECS = ("S-FC", "S-CONV", "S-FC+S-CONV")
PRIORS = {"anchors": "u", "lengthscales": "ω"}
OBJECTIVES = ("map", "laplace")
RECORD = "sparse_specs.json"
PAPER = {
    ("S-FC", "anchors"): (50.21, 5.614, 46.18, 1.496, 1.926),
    ("S-CONV", "anchors"): (82.53, 0.604, 81.29, 0.562, 1.037),
    ("S-FC+S-CONV", "anchors"): (58.80, 5.485, 81.55, 0.538, 0.978),
    ("S-FC", "lengthscales"): (49.69, 7.783, 52.22, 1.319, 1.813),
    ("S-CONV", "lengthscales"): (81.84, 0.913, 81.20, 0.549, 1.055),
    ("S-FC+S-CONV", "lengthscales"): (77.97, 2.040, 80.63, 0.564, 1.067),
}
"""Table 2 on CIFAR-10 at α = 10: accuracy and NLL by MAP, accuracy, NLL and L_η by Laplace."""


@dataclass(frozen=True)
class Config:
    """How one data set is trained on."""

    title: str
    size: int
    alpha: int
    train: int
    test: int
    epochs: int
    burn_in: int
    update_every: int
    lr: float = 0.005
    batch: int = 128


CONFIGS = {
    "digits": Config("UCI digits (relaxeq.data.load_digits), 8×8", 8, 4, 1500, 297, 60, 10, 5),
    "mnist": Config("MNIST-10k padded to 32×32, a subset", 32, 2, 2000, 2000, 15, 3, 2),
}


@dataclass(frozen=True)
class Cell:
    """What one training gave."""

    data: str
    spec: str
    prior: str
    objective: str
    parameters: int
    accuracy: float
    nll: float
    evidence: float
    omega: tuple[float, float]
    layers: tuple[dict[str, float], ...]
    seconds: float


def split(config: Config, mnist: Path | None, seed: int) -> tuple[tuple[Tensor, Tensor], ...]:
    """Training and test data, standardised by the mean and deviation of the training pixels."""
    draws = torch.Generator().manual_seed(seed)
    if mnist is None:
        images, labels = load_digits()
        order = torch.randperm(len(images), generator=draws)[: config.train + config.test]
        x, y = images[order, None], labels[order]
    else:
        parts = []
        for training, count in ((True, config.train), (False, config.test)):
            found = MNIST(str(mnist), train=training, download=False)
            order = torch.randperm(len(found), generator=draws)[:count]
            padded = functional.pad(found.data[order, None].float() / 255, (2, 2, 2, 2))
            parts.append((padded, found.targets[order]))
        x, y = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    first = x[: config.train]
    x = (x - first.mean()) / first.std(correction=0)
    return (x[: config.train], y[: config.train]), (x[config.train :], y[config.train :])


def trained(data: str, run: tuple[str, str, str], mnist: Path | None, seed: int, out: Path) -> Cell:
    spec, prior, objective = run
    config = CONFIGS[data]
    train, test = split(config, mnist, seed)
    torch.manual_seed(seed)
    net = rq.models.PaperNet(spec, 1, 10, config.alpha, (config.size,) * 2, prior=prior)
    options = rq.Options(
        lr=config.lr,
        burn_in=config.burn_in,
        update_every=config.update_every,
        seed=seed,
        progress=False,
    )
    loaders = TensorLoader(train, config.batch, seed=seed), TensorLoader(test, 500)
    folder = out / "_".join((data, spec, prior, objective, f"seed{seed}")).lower()
    start = time.process_time()
    result = rq.fit(net, *loaders, config.epochs, objective, options, run_dir=folder)
    seconds = time.process_time() - start
    report = rq.summary(result)
    report.to_json(folder / "report.json")
    omegas = [float(m.omega.abs()) for m in result.net.modules() if isinstance(m, SparsePath)]
    shares: dict[int, dict[str, float]] = {}
    for row in report.rows:
        shares.setdefault(row.layer, {})[row.path] = row.share
    return Cell(
        data,
        *run,
        sum(p.numel() for p in net.parameters()),
        report.test_accuracy or 0.0,
        report.test_nll or 0.0,
        report.evidence,
        (min(omegas), max(omegas)),
        tuple(shares.values()),
        seconds,
    )


def table(cells: list[Cell]) -> str:
    """The rows of Table 2, the paper's figures on CIFAR-10 in brackets."""
    lines = []
    for prior, symbol in PRIORS.items():
        for spec in SPECS:
            by_map, learned = (
                next(c for c in cells if (c.spec, c.prior, c.objective) == (spec, prior, objective))
                for objective in OBJECTIVES
            )
            paper = PAPER[spec, prior]
            low, high = learned.omega
            lines.append(
                (
                    spec,
                    symbol,
                    f"{learned.parameters:,}",
                    f"{by_map.nll:.3f} ({paper[1]:.3f})",
                    f"{100 * by_map.accuracy:.1f} ({paper[0]:.1f})",
                    f"{-by_map.evidence:.3f}",
                    f"{learned.nll:.3f} ({paper[3]:.3f})",
                    f"{100 * learned.accuracy:.1f} ({paper[2]:.1f})",
                    f"{-learned.evidence:.3f} ({paper[4]:.3f})",
                    f"{low:.2f} to {high:.2f}" if prior == "lengthscales" else "1",
                )
            )
    head = ["spec", "prior on", "parameters", "MAP NLL", "MAP acc. (%)", "MAP L_η"]
    return markdown_table([*head, "Laplace NLL", "Laplace acc. (%)", "L_η", "ω"], lines, left=2)


def kept(cells: list[Cell]) -> str:
    """The share of S-FC in every layer of S-FC+S-CONV."""
    both = [c for c in cells if c.spec == SPECS[-1]]
    lines = [
        [
            f"{c.prior}, {c.objective}",
            *(f"{100 * layer.get('S-FC', 0.0):.0f}" for layer in c.layers),
        ]
        for c in both
    ]
    names = [f"layer {k}" for k in range(len(both[0].layers))]
    return markdown_table(["share of S-FC (%)", *names], lines)


def page(cells: list[Cell], facts: dict[str, Any]) -> str:
    parts = ["# The sparse rows of Table 2 on digits\n"]
    parts.append("".join(f"- {key}: {value}\n" for key, value in facts.items()))
    parts.append(
        "NLL and L_η (minus the log evidence) in nats per datum; in brackets the paper's figures, "
        "which are for CIFAR-10 at α = 10 and 4000 epochs. Small networks, few data and few epochs: "
        "these rows show that all six specs learn, and in which direction the evidence points, no "
        "more.\n"
    )
    for data, config in CONFIGS.items():
        if found := [cell for cell in cells if cell.data == data]:
            chosen = {key: value for key, value in asdict(config).items() if key != "title"}
            settings = ", ".join(f"{key} {value}" for key, value in chosen.items())
            minutes = sum(cell.seconds for cell in found) / 60
            note = f"{settings}; {minutes:.1f} minutes of one core in all"
            parts.append(f"## {config.title}\n\n{note}\n\n{table(found)}\n\n{kept(found)}\n")
    return "\n".join(parts)


def main(
    mnist: Annotated[Path | None, typer.Option(help="torchvision's root folder of MNIST.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of data, weights and batches.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs/sparse_specs"),
    results: Annotated[Path, typer.Option(help="Folder of the record.")] = Path(
        "experiments/results"
    ),
) -> None:
    torch.set_num_threads(1)
    cells = []
    for data, root in (("digits", None), ("mnist", mnist)):
        for run in [(s, p, o) for s in SPECS for p in PRIORS for o in OBJECTIVES]:
            if data == "digits" or root is not None:
                cells.append(trained(data, run, root, seed, out))
                print(data, *run, f"{100 * cells[-1].accuracy:.1f} %", file=sys.stderr)
    facts = {
        "command": " ".join(
            ["python experiments/sparse_specs.py", *("--mnist ROOT",) * bool(mnist)]
        ),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "seed": seed,
        "torch": torch.__version__,
    }
    record = facts | {"configs": {k: asdict(c) for k, c in CONFIGS.items()}}
    record |= {"cells": [asdict(cell) for cell in cells]}
    write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", results / RECORD)
    text = page(cells, facts)
    write_text(text, (results / RECORD).with_suffix(".md"))
    print(text)


if __name__ == "__main__":
    run_function(main)
