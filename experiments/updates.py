"""How precisions should move, and what cheaper evidence loses, on the demo's two tasks.

    .venv/bin/python experiments/updates.py

trains the demo's F-FC+CONV network with each update of the prior precisions, then with curvature
from a part of the data, all judged at the end by exact-Fisher KFAC on all data. At the weights of
the default it also takes each cheaper evidence five times. Writes experiments/results/updates.json
and updates.md.
"""

import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import torch
import typer

import relaxeq as rq
from relaxeq.cli import run_function
from relaxeq.curvature import Bound, Pass, Subset, estimate
from relaxeq.data import CLASSES, TensorLoader, toy_task
from relaxeq.demo import DemoConfig, Run
from relaxeq.evidence import log_marginal_likelihood
from relaxeq.recipe import FitResult
from relaxeq.recipe.priors import prior_groups, terms_of
from relaxeq.report import markdown_table, run_facts, save_record

UPDATES = {
    "Adam(lr=0.1, steps=20), the default": {},
    "Adam(lr=0.1, steps=1), App. F.6": {"update": rq.Adam(0.1, 1)},
    "MacKay(damping=0.5, steps=3)": {"update": rq.MacKay()},
    "MacKay(damping=1, steps=1)": {"update": rq.MacKay(1.0, 1)},
    "LBFGS(damping=0.5)": {"update": rq.LBFGS()},
    "LBFGS(damping=1)": {"update": rq.LBFGS(1.0)},
}
CHEAPER = {
    "Subset(64)": Subset(64),
    "Subset(256)": Subset(256),
    "Subset(512)": Subset(512),
    "Bound(4, 8)": Bound(4, 8),
    "Bound(16, 8)": Bound(16, 8),
}
TRAINED = ("Subset(256)", "Bound(4, 8)")
RUNS = UPDATES | {f"default, {name}": {"curvature": CHEAPER[name]} for name in TRAINED}
NEAR = 0.05


# The demo's F-FC+CONV network and tasks, smaller: half its width, two thirds of its data.
CONFIG = DemoConfig(alpha=2, epochs=40, train=1000, specs=("F-FC+CONV",), objectives=("laplace",))


@dataclass(frozen=True)
class Outcome:
    """One training: evidence per datum, when its trace came near its end, and what layers kept."""

    task: str
    how: str
    evidence: float
    near: int
    seconds: float
    accuracy: float
    types: tuple[str, ...]
    warnings: tuple[str, ...]


def trained(config: DemoConfig, task: str, how: str, changes: dict) -> tuple[Outcome, FitResult]:
    run = Run(task, *config.specs, *config.objectives, *config.seeds)
    torch.manual_seed(run.seed)
    train, test = toy_task(task, config.train, config.test, run.seed)
    net = rq.models.PaperNet(run.spec, 1, CLASSES[task], config.alpha, (16, 16))
    options = replace(config.options(run), final_curvature="kfac", **changes)
    begin = time.process_time()
    loaders = TensorLoader(train, config.batch, seed=run.seed), TensorLoader(test, 297)
    result = rq.fit(net, *loaders, config.epochs, run.objective, options)
    seconds = time.process_time() - begin
    trace = [(row["epoch"], row["evidence"]) for row in result.history if "evidence" in row]
    report = rq.summary(result)
    outcome = Outcome(
        task,
        how,
        evidence=result.evidence,
        near=next(epoch for epoch, value in trace if abs(value - trace[-1][1]) < NEAR),
        seconds=seconds,
        accuracy=result.metrics["test_accuracy"],
        types=tuple({row.name: row.layer_type for row in report.rows}.values()),
        warnings=report.warnings,
    )
    return outcome, result


def lost(config: DemoConfig, task: str, result: FitResult) -> list[dict[str, float | str]]:
    """Each cheaper evidence at the same weights, five draws: nats per datum beyond all data's."""
    loader = TensorLoader(toy_task(task, train=config.train)[0], config.batch)
    groups = prior_groups(result.net)
    alphas = {prior.name: prior.precision for prior in result.priors}

    def evidence(flavour: object, seed: int) -> tuple[float, float]:
        draws = torch.Generator().manual_seed(seed)
        found = estimate(result.net.eval(), loader, Pass(generator=draws), flavour)
        terms = terms_of(result.net, groups, found.blocks)
        gamma = sum(term.effective_parameters(alphas[name]) for name, term in terms.items())
        return log_marginal_likelihood(found.log_likelihood, terms, alphas) / found.count, gamma

    truth, gamma = evidence("kfac", 0)
    rows = []
    for name, flavour in ({"corrected, all data": "corrected"} | CHEAPER).items():
        begin = time.process_time()
        found = [evidence(flavour, seed) for seed in range(1 if flavour == "corrected" else 5)]
        gaps = [value - truth for value, _ in found]
        rows.append(
            {
                "task": task,
                "flavour": name,
                "gap": statistics.mean(gaps),
                "std": statistics.stdev(gaps) if len(gaps) > 1 else 0.0,
                "gamma": statistics.mean(g for _, g in found) / gamma,
                "seconds": (time.process_time() - begin) / len(found),
            }
        )
    return rows


def tables(outcomes: list[Outcome], losses: list[dict]) -> str:
    first = [
        [o.task, o.how, f"{o.evidence:.3f}", str(o.near), f"{o.seconds:.0f}"]
        + [f"{100 * o.accuracy:.1f} %", " ".join(o.types)]
        for o in outcomes
    ]
    head = ["task", "precisions by", "log evidence (nats per datum)", f"epoch within {NEAR} of end"]
    head += ["CPU seconds", "test accuracy", "layer types"]
    second = [
        [row["task"], row["flavour"], f"{row['gap']:+.3f}", f"{row['std']:.3f}"]
        + [f"{row['gamma']:.2f}", f"{row['seconds']:.2f}"]
        for row in losses
    ]
    names = [
        "task",
        "curvature",
        "mean Δ log evidence (nats per datum)",
        "std",
        "γ / γ of all data",
    ]
    title = "\n\nAt the weights of the default, against exact-Fisher KFAC on all data:\n\n"
    text = markdown_table(head, first, left=2) + title
    return text + markdown_table([*names, "CPU seconds"], second, left=2) + "\n"


def measured(config: DemoConfig, task: str, how: str) -> tuple[Outcome, list[dict]]:
    torch.set_num_threads(1)
    outcome, result = trained(config, task, how, RUNS[how])
    return outcome, lost(config, task, result) if how == next(iter(UPDATES)) else []


def main(
    results: Annotated[Path, typer.Option(help="Folder of the record.")] = Path(
        "experiments/results"
    ),
    jobs: Annotated[int, typer.Option(min=1, help="Trainings at a time.")] = 2,
) -> None:
    runs = [(CONFIG, task, how) for task in CONFIG.tasks for how in RUNS]
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        found = list(pool.map(measured, *zip(*runs, strict=True)))
    outcomes = [outcome for outcome, _ in found]
    losses = [row for _, rows in found for row in rows]
    data = "UCI digits, 8×8 in quadrants of 16×16 (relaxeq.data.toy_task)"
    facts = run_facts(data, asdict(CONFIG) | {"threads per training": 1})
    values = {"outcomes": [asdict(o) for o in outcomes], "losses": losses}
    stem, title = results / "updates", "Updates of precisions, and cheaper evidence"
    print(save_record(stem, title, facts, tables(outcomes, losses), values))


if __name__ == "__main__":
    run_function(main)
