"""The six sparse rows of Table 2 on digits: S-FC and S-CONV, priors on anchors or lengthscales.

    .venv/bin/python experiments/sparse_specs.py --mnist ROOT

trains PaperNet by MAP and by the Laplace marginal likelihood on the embedded digits in 16×16, and
with --mnist on MNIST in 32×32 (the folder of its files; nothing is downloaded). Runs lie in --out
and continue where they were. experiments/results/sparse_specs.{json,md} hold the figures and what
S-FC+S-CONV kept in every layer; docs/sparse.png shows weights that it learned.
"""

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from options import RESULTS, Results, Runs, Seed
from torch import nn

import relaxeq as rq
from relaxeq.cli import run_function
from relaxeq.data import Fitted, ImageTask
from relaxeq.paths import SparsePath
from relaxeq.report import by_layer, markdown_table, run_facts, save_record
from relaxeq.study import Cell, Paper, Training, fit_cell
from relaxeq.tables import table2

SPECS = table2.SPARSE
PRIORS = {prior: symbol for symbol, prior in table2.PRIORS.items()}
OBJECTIVES = ("map", "laplace")
RUNS = [(spec, prior, objective) for spec in SPECS for prior in PRIORS for objective in OBJECTIVES]
SHOWN = ("S-FC+S-CONV", "lengthscales", "laplace")
PAPER = {
    (spec, prior): table2.PRINTED[f"{spec}, {PRIORS[prior]}"] for prior in PRIORS for spec in SPECS
}
"""Table 2, on CIFAR-10 at α = 10: NLL and accuracy by MAP, by Laplace, and L_η."""

NOTE = """NLL and L_η (minus the log evidence) in nats per datum. In brackets the paper's figures,
which are for CIFAR-10, α = 10 and 4000 epochs; here are small networks, few data and few epochs.
"""


@dataclass(frozen=True)
class Config:
    """How one data set is trained on."""

    title: str
    task: ImageTask
    alpha: int
    training: Training


CONFIGS = {
    "digits": Config(
        "UCI digits, 8×8 in 16×16",
        ImageTask("digits", (Fitted((16, 16)),)),
        4,
        Training(40, lr=0.005, update_every=3),
    ),
    "mnist": Config(
        "MNIST-10k, 1,500 of 8,000 to train on, 28×28 in 32×32",
        ImageTask("mnist", (Fitted((32, 32)),), 1500, 1000),
        2,
        Training(8, lr=0.005, batch=32, burn_in=2, update_every=1),
    ),
}


@dataclass(frozen=True)
class Finding:
    """What one training gave."""

    data: str
    spec: str
    prior: str
    objective: str
    parameters: int
    accuracy: float
    nll: float
    evidence: float
    omegas: tuple[float, ...]
    shares: tuple[float, ...]
    seconds: float


def trained(
    data: str, run: tuple[str, str, str], seed: int, out: Path
) -> tuple[Finding, nn.Module]:
    """Train, or take up again, one network; `shares` are those of S-FC by layer."""
    spec, prior, objective = run
    config, network = CONFIGS[data], Paper(spec, CONFIGS[data].alpha, prior=prior)
    label = f"{spec}, {PRIORS[prior]}"
    cell = Cell(label, data, network, config.task, config.training, objective, seed)
    result = fit_cell(cell, out / cell.name)
    net, report = result.net, rq.summary(result)
    paths = [module for module in net.modules() if isinstance(module, SparsePath)]
    layers = [{row.path: row.share for row in rows} for rows in by_layer(report.rows)]
    found = Finding(
        data,
        *run,
        report.size,
        result.metrics["test_accuracy"],
        result.metrics["test_nll"],
        report.evidence,
        tuple(abs(path.omega.item()) for path in paths),
        tuple(layer.get("S-FC", 0.0) for layer in layers),
        seconds=sum(row["seconds"] for row in result.history),
    )
    return found, net


def table(cells: list[Finding]) -> str:
    """The rows of Table 2, the paper's figures on CIFAR-10 in brackets."""
    found = {(c.spec, c.prior, c.objective): c for c in cells}
    lines = []
    for (spec, prior), paper in PAPER.items():
        by_map, learned = (found[spec, prior, objective] for objective in OBJECTIVES)
        figures = [by_map.nll, 100 * by_map.accuracy, learned.nll, 100 * learned.accuracy]
        pairs = zip([*figures, -learned.evidence], paper, strict=True)
        shown = [
            f"{mine:.{d}f} ({theirs:.{d}f})"
            for d, (mine, theirs) in zip((3, 1, 3, 1, 3), pairs, strict=True)
        ]
        low, high = min(learned.omegas), max(learned.omegas)
        omega = f"{low:.2f} to {high:.2f}" if prior == "lengthscales" else "1"
        shown.insert(2, f"{-by_map.evidence:.3f}")
        lines.append([spec, PRIORS[prior], f"{learned.parameters:,}", *shown, omega])
    head = ["layer", "prior on", "parameters", "MAP NLL", "MAP accuracy (%)", "MAP L_η"]
    return markdown_table([*head, "NLL", "accuracy (%)", "L_η", "ω"], lines, left=2)


def kept(cells: list[Finding]) -> str:
    """The share of S-FC in every layer of S-FC+S-CONV."""
    both = [cell for cell in cells if cell.spec == SPECS[-1]]
    lines = [
        [f"{c.prior}, {c.objective}", *(f"{100 * share:.0f}" for share in c.shares)] for c in both
    ]
    names = [f"layer {k}" for k in range(len(both[0].shares))]
    return markdown_table(["share of S-FC (%)", *names], lines)


def sections(cells: list[Finding]) -> Iterator[str]:
    yield NOTE
    for data, config in CONFIGS.items():
        if found := [cell for cell in cells if cell.data == data]:
            minutes = sum(cell.seconds for cell in found) / 60
            yield f"## {config.title}\n\n{minutes:.1f} minutes of one thread beside other work.\n"
            yield table(found) + "\n"
            yield kept(found) + "\n"


def settings(config: Config) -> dict[str, object]:
    """What a reader must know of a configuration, without the folder of its data."""
    parts = {"title": config.title, "task": repr(config.task), "alpha": config.alpha}
    return parts | {"training": config.training.record()}


def main(
    mnist: Annotated[Path | None, typer.Option(help="Folder of MNIST's files.")] = None,
    seed: Seed = 0,
    out: Runs = Path("runs/sparse_specs"),
    results: Results = RESULTS,
    picture: Annotated[Path, typer.Option(help="Weights of a layer.")] = Path("docs/sparse.png"),
) -> None:
    torch.set_num_threads(1)
    if mnist is None:
        CONFIGS.pop("mnist")
    else:
        task = replace(CONFIGS["mnist"].task, root=str(mnist))
        CONFIGS["mnist"] = replace(CONFIGS["mnist"], task=task)
    cells = []
    for data in CONFIGS:
        for run in RUNS:
            cell, net = trained(data, run, seed, out)
            cells.append(cell)
            print(data, *run, f"{100 * cell.accuracy:.1f} %", file=sys.stderr)
            if run == SHOWN:
                rq.plot_sparse(net.layers[1].paths["S-FC"], picture)
    facts = run_facts(
        "; ".join(config.title for config in CONFIGS.values()),
        {data: settings(config) for data, config in CONFIGS.items()} | {"seed": seed},
    )
    text = "\n".join(sections(cells))
    values = {"cells": [asdict(cell) for cell in cells]}
    print(
        save_record(
            results / "sparse_specs", "The sparse rows of Table 2 on digits", facts, text, values
        )
    )


if __name__ == "__main__":
    run_function(main)
