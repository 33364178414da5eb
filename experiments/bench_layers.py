"""Speed of layers: in one run, as ratios to torch's plain convolution of the same width.

    python experiments/bench_layers.py

Each row is a forward and a backward pass (training mode, gradients of input and weights) of maps
between regular fields of Z2 ⋊ p4. Candidates take turns, so that a busy machine slows all of them,
and each is divided by the convolution of its own turn; figures are medians over the turns.
Writes experiments/results/layers.{json,md}.

The floor is that convolution: Z2 ⋊ p4's weight is dense, so full filters need its products, three
times (forward, and the gradients of input and weights). The rest is the gather of the weight.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
import typer
from options import RESULTS, Results, Threads
from torch import Tensor, nn

import relaxeq as rq
from relaxeq import groups
from relaxeq.cli import run_function
from relaxeq.layers import polyphase
from relaxeq.paths import escnn_bridge
from relaxeq.report import markdown_table, run_facts, save_record

GROUP = groups.semidirect(groups.Z2(), groups.p4())
PLAIN = "conv2d, circular"
SPECS = {
    "GCONV full": ("GCONV", "full"),
    "GCONV pointwise": ("GCONV", "pointwise"),
    "GCONV separable": ("GCONV", "separable"),
    "GCONV depthwise-separable": ("GCONV", "depthwise-separable"),
    "CONV+GCONV full": ("CONV+GCONV", "full"),
    "CONV+GCONV pointwise": ("CONV+GCONV", "pointwise"),
}


@dataclass(frozen=True)
class Shape:
    """A map from `channels` regular channels to as many, on an n×n grid, for a batch."""

    channels: int
    grid: int
    batch: int

    def __str__(self) -> str:
        depth = self.field.depth
        return f"{depth} → {depth}, {self.grid}×{self.grid}, batch {self.batch}"

    @property
    def field(self) -> rq.Field:
        return rq.Field(GROUP, self.channels, (self.grid, self.grid))


SHAPES = (Shape(16, 32, 32), Shape(40, 8, 64), Shape(80, 4, 64))


def candidates(shape: Shape) -> dict[str, nn.Module]:
    field, depth = shape.field, shape.field.depth
    found: dict[str, nn.Module] = {
        PLAIN: nn.Conv2d(depth, depth, 3, padding=1, padding_mode="circular", bias=False),
        "conv2d, zeros": nn.Conv2d(depth, depth, 3, padding=1, bias=False),
    }
    for name, (spec, filters) in SPECS.items():
        found[name] = rq.RelaxedLayer(field, field, spec, filters=filters, bias=False)
    kind = escnn_bridge.field_type(field)
    r2conv = escnn_bridge.load().nn.R2Conv(
        kind, kind, 3, padding=1, padding_mode="circular", bias=False
    )
    return {**found, "escnn R2Conv": Unwrapped(r2conv, kind)}


class Unwrapped(nn.Module):
    """A module of escnn on plain tensors."""

    def __init__(self, module: nn.Module, kind: object) -> None:
        super().__init__()
        self.module, self.kind = module, kind

    def forward(self, x: Tensor) -> Tensor:
        return self.module(escnn_bridge.load().nn.GeometricTensor(x, self.kind)).tensor


def step(module: nn.Module, x: Tensor) -> Callable[[], object]:
    parameters = [x, *module.parameters()]

    def run() -> object:
        y = module(x)
        return torch.autograd.grad(y, parameters, torch.ones_like(y))

    return run


def in_turns(runs: dict[str, Callable[[], object]], turns: int) -> dict[str, list[float]]:
    """Milliseconds of each run in every turn, after one turn to warm up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(turns + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if turn:
                times[name].append(1e3 * (time.perf_counter() - start))
    return times


def of_shape(shape: Shape, turns: int) -> dict[str, list[float]]:
    x = shape.field.random(shape.batch).requires_grad_()
    modules = candidates(shape)
    runs = {name: step(module, x) for name, module in modules.items()}
    runs["polyphase"] = step(Function(polyphase), x)
    layer = modules["GCONV full"]
    runs["GCONV full, forward"] = lambda: forward(layer.train(), x)
    runs["GCONV full, forward in eval"] = lambda: forward(layer, x)
    runs["conv2d, circular, forward"] = lambda: forward(modules[PLAIN], x)
    return in_turns(runs, turns)


@torch.no_grad()
def forward(module: nn.Module, x: Tensor) -> Tensor:
    return module(x)


class Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def construction(times: int = 5) -> list[float]:
    """Seconds to build Table 3's network at α = 10, again and again."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        rq.models.PaperNet("F-FC+CONV+GCONV", alpha=10, group=GROUP)
        found.append(time.perf_counter() - start)
    return found


def ratios(found: dict[str, list[float]]) -> dict[str, float]:
    """Median over the turns of each time to the plain convolution's of that turn."""
    return {
        name: statistics.median(a / b for a, b in zip(times, found[PLAIN], strict=True))
        for name, times in found.items()
    }


def table(found: dict[str, dict[str, list[float]]]) -> str:
    shapes = list(found)
    by_shape = {shape: ratios(times) for shape, times in found.items()}
    lines = [
        [
            name,
            *(
                f"{by_shape[shape][name]:.2f} ({statistics.median(found[shape][name]):.1f} ms)"
                for shape in shapes
            ),
        ]
        for name in by_shape[shapes[0]]
    ]
    return markdown_table([f"ratio to {PLAIN} (median time)", *shapes], lines)


def main(
    threads: Threads = 2,
    turns: Annotated[int, typer.Option(min=3, help="Turns that every candidate takes.")] = 15,
    results: Results = RESULTS,
) -> None:
    torch.set_num_threads(threads)
    built = construction()
    found = {str(shape): of_shape(shape, turns) for shape in SHAPES}
    facts = run_facts("random fields", {"turns": turns, "shapes": [str(s) for s in SHAPES]})
    text = (
        f"{table(found)}\n\n"
        f"PaperNet F-FC+CONV+GCONV on Z2 ⋊ p4, α = 10, is built in {built[0]:.2f} s "
        f"(median of {len(built)}: {statistics.median(built):.2f} s)."
    )
    values = {"construction_seconds": built, "milliseconds": found}
    print(save_record(results / "layers", "Speed of layers", facts, text, values))


if __name__ == "__main__":
    run_function(main)
