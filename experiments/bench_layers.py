"""Speed of layers: medians in one run, as ratios to torch's plain convolution of the same width.

    python experiments/bench_layers.py              # a minute or two on two cores
    python experiments/bench_layers.py --threads 1 --json layers.json

Each row is a forward and a backward pass (training mode, gradients of input and weights) of maps
between regular fields of Z2 ⋊ p4. Candidates take turns, so that a busy machine slows all of them.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

import relaxeq as rq
from relaxeq import groups
from relaxeq.layers import polyphase
from relaxeq.paths import escnn_bridge

GROUP = groups.semidirect(groups.Z2(), groups.p4())
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

    @property
    def field(self) -> rq.Field:
        return rq.Field(GROUP, self.channels, (self.grid, self.grid))


SHAPES = (Shape(16, 32, 32), Shape(40, 8, 64), Shape(80, 4, 64))


def candidates(shape: Shape) -> dict[str, nn.Module]:
    field, depth = shape.field, shape.field.depth
    found: dict[str, nn.Module] = {
        "conv2d, circular": nn.Conv2d(
            depth, depth, 3, padding=1, padding_mode="circular", bias=False
        ),
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


def medians(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median milliseconds of each, in turns."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(found) for name, found in times.items()}


def of_shape(shape: Shape, repeats: int) -> dict[str, float]:
    x = shape.field.random(shape.batch).requires_grad_()
    modules = candidates(shape)
    runs = {name: step(module, x) for name, module in modules.items()}
    runs["polyphase"] = step(Function(polyphase), x)
    layer = modules["GCONV full"]
    with torch.no_grad():
        once = medians({"GCONV full, forward": lambda: layer.train()(x)}, repeats)
        once |= medians({"GCONV full, forward in eval": lambda: evaluated(layer, x)}, repeats)
    return medians(runs, repeats) | once


def evaluated(layer: nn.Module, x: Tensor) -> Tensor:
    if layer.training:
        layer.eval()
    with torch.no_grad():
        return layer(x)


class Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def construction() -> float:
    """Seconds to build Table 3's network at α = 10."""
    start = time.perf_counter()
    rq.models.PaperNet("F-FC+CONV+GCONV", alpha=10, group=GROUP)
    return time.perf_counter() - start


def table(shape: Shape, found: dict[str, float]) -> Iterable[str]:
    plain = found["conv2d, circular"]
    depth, grid = shape.field.depth, shape.grid
    yield f"{depth} → {depth} channels, {grid}×{grid}, batch {shape.batch}"
    for name, milliseconds in found.items():
        yield f"  {name:28} {milliseconds:9.2f} ms {milliseconds / plain:7.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    seconds = construction()
    print(f"PaperNet F-FC+CONV+GCONV, α = 10: built in {seconds:.2f} s")
    rows = []
    for shape in SHAPES:
        found = of_shape(shape, options.repeats)
        print("\n".join(table(shape, found)), flush=True)
        rows.append({**asdict(shape), "milliseconds": found})
    if options.json:
        options.json.write_text(
            json.dumps({"construction_seconds": seconds, "shapes": rows}, indent=1)
        )


if __name__ == "__main__":
    main()
