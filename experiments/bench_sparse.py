"""What sparse paths cost: a training step beside their dense twins, and the evidence's gradient.

    python experiments/bench_sparse.py

PaperNet (α = 4) on batches of 128 digits in quadrants of 16×16. A step is forward, backward and
Adam. `evidence_gradient` differentiates the evidence by every lengthscale; it is told in exact KFAC
passes over the same 256 digits, and so is KFAC with a prior on the lengthscales. All take turns, as
in bench_layers.py, and figures are medians. Writes experiments/results/bench_sparse.{json,md}.
"""

import statistics
from collections.abc import Callable
from typing import Annotated

import torch
import typer
from bench_layers import in_turns
from options import RESULTS, TOY_DATA, Results
from torch import nn

import relaxeq as rq
from relaxeq.cli import run_function
from relaxeq.data import TensorLoader, ToyTask
from relaxeq.paths import Sparse
from relaxeq.recipe import evidence_gradient
from relaxeq.report import markdown_table, run_facts, save_record

TWINS = {"S-FC": "F-FC", "S-CONV": "CONV", "S-FC+S-CONV": "F-FC+CONV"}
LEARNED = Sparse(learn_omega=True)


def network(spec: str, prior: str | Sparse = LEARNED) -> nn.Module:
    return rq.models.PaperNet(spec, 1, 10, 4, (16, 16), prior=prior)


def step(net: nn.Module, loader: TensorLoader) -> Callable[[], object]:
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    x, y = next(iter(loader))

    def run() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()

    return run


def passes(spec: str, loader: TensorLoader) -> dict[str, Callable[[], object]]:
    """An exact KFAC pass with eigenvalues, one with a block of ω, and the gradient by every ω."""
    net, with_prior = network(spec).eval(), network(spec, "lengthscales").eval()
    return {
        "kfac": lambda: eigenvalues(net, loader),
        "kfac, prior on ω": lambda: eigenvalues(with_prior, loader),
        "gradient": lambda: evidence_gradient(net, loader),
    }


def eigenvalues(net: nn.Module, loader: TensorLoader) -> None:
    for block in rq.kfac(net, loader).values():
        block.eigenvalues()


def median_ratio(one: list[float], other: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


def main(
    turns: Annotated[int, typer.Option(min=3, help="Turns of training steps.")] = 15,
    results: Results = RESULTS,
) -> None:
    torch.set_num_threads(1)
    loader = TensorLoader(ToyTask("digit", 256, 1).load().train, 128, seed=0)
    specs = [*TWINS, *TWINS.values()]
    times = in_turns({spec: step(network(spec), loader) for spec in specs}, turns)
    lines, found = [], {}
    for spec, twin in TWINS.items():
        found[spec] = in_turns(passes(spec, loader), 3)
        slower = [
            f"{median_ratio(found[spec][name], found[spec]['kfac']):.1f}"
            for name in ("kfac, prior on ω", "gradient")
        ]
        ratio = median_ratio(times[spec], times[twin])
        shown = f"{statistics.median(times[spec]):.0f} ms"
        lines.append([spec, twin, f"{ratio:.2f} ({shown})", *slower])
    head = [
        "spec",
        "dense twin",
        "training step, × the twin's",
        "KFAC with a prior on ω, in passes without",
        "evidence gradient, in KFAC passes",
    ]
    facts = run_facts(TOY_DATA, {"alpha": 4, "batch": 128, "data": 256})
    values = {"step_milliseconds": times, "passes_milliseconds": found}
    stem, text = results / "bench_sparse", markdown_table(head, lines, left=2)
    print(save_record(stem, "What sparse paths cost", facts | {"turns": turns}, text, values))


if __name__ == "__main__":
    run_function(main)
