"""How precisions should move, and what cheaper evidence loses, on the demo's two tasks.

    .venv/bin/python experiments/updates.py

trains the demo's F-FC+CONV network over seeds with updates of the prior precisions, some of them
once, all judged at the end by exact-Fisher KFAC on all data. "Settled" is the evidence of the same
weights under the precisions that are best for them: the difference says how far the precisions were
from where they go. At the weights of the default, once, it also takes each cheaper evidence five
times. Finished trainings stay in runs/updates. Writes experiments/results/updates.json and
updates.md.
"""

import json
import statistics
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from options import RESULTS, TOY_DATA, Jobs, Results, Runs, Seeds

import relaxeq as rq
from relaxeq.cli import run_function
from relaxeq.curvature import Batch, Bound, Pass, Subset, estimate
from relaxeq.demo import PRESETS, TOY
from relaxeq.evidence import log_marginal_likelihood
from relaxeq.recipe import FitResult
from relaxeq.recipe.priors import prior_groups, terms_of
from relaxeq.report import markdown_table, run_facts, save_record
from relaxeq.study import Cell, check_settings, figure_of

DEFAULT = "Adam(lr=0.1, steps=20), the default"
RUNS = {
    DEFAULT: {},
    "the default, every 2 epochs": {"update_every": 2},
    "Adam(lr=0.1, steps=1), App. F.6": {"update": rq.Adam(0.1, 1)},
    "MacKay(damping=0.5, steps=3)": {"update": rq.MacKay()},
    "MacKay(damping=1, steps=1)": {"update": rq.MacKay(1.0, 1)},
    "MacKay(damping=1, steps=1), burn_in=30": {"update": rq.MacKay(1.0, 1), "burn_in": 30},
    "LBFGS(damping=1)": {"update": rq.LBFGS(1.0)},
    "the default, Subset(256)": {"curvature": Subset(256)},
    "the default, burn_in=0": {"burn_in": 0},
}
CHEAPER = {
    "Subset(64)": Subset(64),
    "Subset(256)": Subset(256),
    "Subset(512)": Subset(512),
    "Bound(4, 8)": Bound(4, 8),
    "Bound(16, 8)": Bound(16, 8),
}
ONCE = tuple(list(RUNS)[n] for n in (2, 5, 6, 7))
"""A first look on "digit" with seed 0; the others are compared on both tasks over all seeds."""
NEAR = 0.05


@dataclass(frozen=True)
class Outcome:
    """One training: evidence per datum, when its trace came near its end, and what layers kept."""

    task: str
    how: str
    seed: int
    evidence: float
    settled: float
    near: int
    seconds: float
    accuracy: float
    nll: float
    types: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Work:
    """One training of the study, in a process of its own."""

    cell: Cell
    number: int
    """Which of RUNS."""

    @property
    def how(self) -> str:
        return list(RUNS)[self.number]

    @property
    def is_first(self) -> bool:
        return (self.cell.seed, self.cell.column) == (0, "digit")

    def file(self, out: Path) -> Path:
        return out / f"{self.cell.column}_seed{self.cell.seed}_{self.number}.json"


def trained(work: Work) -> tuple[Outcome, FitResult]:
    cell, training = work.cell, work.cell.training
    sets = cell.task.load(cell.seed)
    net = cell.build(sets)
    options = replace(training.options(cell.seed), final_curvature="kfac", **RUNS[work.how])
    loaders = training.loaders(sets, cell.seed)
    begin = time.process_time()
    result = rq.fit(net, *loaders, training.epochs, cell.objective, options)
    seconds = time.process_time() - begin
    trace = [(row["epoch"], row["evidence"]) for row in result.history if "evidence" in row]
    report = rq.summary(result)
    outcome = Outcome(
        cell.column,
        work.how,
        cell.seed,
        evidence=result.evidence,
        settled=settled(result, loaders[0]),
        near=next(epoch for epoch, value in trace if abs(value - trace[-1][1]) < NEAR),
        seconds=seconds,
        accuracy=result.metrics["test_accuracy"],
        nll=result.metrics["test_nll"],
        types=tuple({row.name: row.layer_type for row in report.rows}.values()),
        warnings=report.warnings,
    )
    return outcome, result


def settled(result: FitResult, loader: Iterable[Batch]) -> float:
    """Evidence per datum of the same weights under the precisions that are best for them."""
    found = estimate(result.net.eval(), loader, Pass())
    terms = terms_of(result.net, prior_groups(result.net), found.blocks)
    alphas = {prior.name: prior.precision for prior in result.priors}
    best, _ = rq.LBFGS(1.0).step(terms, alphas, {})
    return log_marginal_likelihood(found.log_likelihood, terms, best) / found.count


def lost(cell: Cell, result: FitResult) -> list[dict[str, float | str]]:
    """Each cheaper evidence at the same weights, five draws: nats per datum beyond all data's."""
    loader, _ = cell.training.loaders(cell.task.load(cell.seed), cell.seed)
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
                "task": cell.column,
                "flavour": name,
                "gap": statistics.mean(gaps),
                "std": statistics.stdev(gaps) if len(gaps) > 1 else 0.0,
                "gamma": statistics.mean(g for _, g in found) / gamma,
                "seconds": (time.process_time() - begin) / len(found),
            }
        )
    return rows


def tables(outcomes: list[Outcome], losses: list[dict[str, Any]]) -> str:
    kinds = dict.fromkeys((o.task, o.how) for o in outcomes)
    first = [means([o for o in outcomes if (o.task, o.how) == kind]) for kind in kinds]
    head = ["task", "precisions by", "seeds", "log evidence (nats per datum)", "settled"]
    head += [f"epoch within {NEAR} of end", "CPU seconds", "test accuracy (%)"]
    head += ["test NLL (nats)", "layer types, per seed"]
    second = [
        [row["task"], row["flavour"], f"{row['gap']:+.3f}", f"{row['std']:.3f}"]
        + [f"{row['gamma']:.2f}", f"{row['seconds']:.2f}"]
        for row in losses
    ]
    names = ["task", "curvature", "mean Δ log evidence (nats per datum)", "std"]
    names += ["γ / γ of all data", "CPU seconds"]
    title = "\n\nAt the weights of the default, seed 0, against exact-Fisher KFAC on all data:\n\n"
    text = markdown_table(head, first, left=2)
    legend = "\n\nLayer types: C for CONV, F for F-FC, first layer first.\n"
    return text + legend + title + markdown_table(names, second, left=2) + "\n"


def means(group: list[Outcome]) -> list[str]:
    """Means and deviations over the seeds of one way on one task."""

    def over(name: str, digits: int, factor: float = 1.0) -> str:
        return figure_of([factor * getattr(o, name) for o in group]).text(digits, len(group) > 1)

    types = " ".join("".join(kind[0] for kind in o.types) for o in group)
    numbers = [
        str(len(group)),
        over("evidence", 2),
        over("settled", 2),
        over("near", 0),
        over("seconds", 0),
    ]
    return [group[0].task, group[0].how, *numbers, over("accuracy", 1, 100), over("nll", 3), types]


def measured(work: Work, out: Path) -> dict[str, Any]:
    """What one training came to, from its file if it is finished."""
    torch.set_num_threads(1)
    file = work.file(out)
    if not file.exists():
        outcome, result = trained(work)
        losses = lost(work.cell, result) if work.is_first and work.how == DEFAULT else []
        file.write_text(json.dumps({"outcome": asdict(outcome), "losses": losses}), "utf-8")
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found


def main(
    seeds: Seeds = 3,
    jobs: Jobs = 2,
    out: Runs = Path("runs/updates"),
    results: Results = RESULTS,
) -> None:
    demo = PRESETS["demo"]
    training = replace(demo.training, burn_in=10)  # that of App. F.6
    preset = replace(demo, seeds=tuple(range(seeds)), training=training)
    check_settings(preset.record() | {"runs": list(RUNS)}, out / "settings.json", "out")
    cells = [c for c in TOY.cells(preset) if (c.row, c.objective) == ("F-FC+CONV", "laplace")]
    works = [Work(cell, number) for cell in cells for number in range(len(RUNS))]
    works = [work for work in works if work.is_first or work.how not in ONCE]
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        found = list(pool.map(measured, works, [out] * len(works)))
    outcomes = [Outcome(**each["outcome"]) for each in found]
    losses = [row for each in found for row in each["losses"]]
    settings = preset.record() | {"spec": "F-FC+CONV", "seeds": list(range(seeds))}
    facts = run_facts(TOY_DATA, settings | {"threads per training": 1})
    values = {"outcomes": [asdict(o) for o in outcomes], "losses": losses}
    stem, title = results / "updates", "Updates of precisions, and cheaper evidence"
    print(save_record(stem, title, facts, tables(outcomes, losses), values))


if __name__ == "__main__":
    run_function(main)
