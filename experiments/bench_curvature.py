"""What curvature costs: in epochs of training, against its floor, and against laplace-torch 0.3.

    python experiments/bench_curvature.py
    python experiments/bench_curvature.py --data 8192
    python experiments/bench_curvature.py --threads 1 --clock cpu     # where the machine is shared

Table 6's CONV network (α = 10) in plain torch layers, with zero and circular padding: an epoch of
training, `relaxeq.kfac` with all eigenvalues, its forward and backward passes alone, and the `fit`
of laplace-torch's ASDL and curvlinops backends, in turns. Then PaperNet F-FC+CONV against CONV, and
training by the evidence against MAP. The peers live in .venv-peers, which the command sets up.
Where both are right (zero padding, all but the biases of convolutions) their log determinants must
agree, or the command stops. Writes experiments/results/bench_curvature_DATA.{json,md}.
"""

import json
import os
import statistics
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from cost_tables import BACKENDS, COLUMNS, PADDINGS, Times, peers_table, targets
from floor import floors
from peers.network import Batches, network
from torch import nn

import relaxeq as rq
from relaxeq.curvature import Pass
from relaxeq.curvature.recording import recorded_passes
from relaxeq.likelihoods import Categorical
from relaxeq.report import run_facts, save_record

ROOT = Path(__file__).parents[1]
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
Ask = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Config:
    """What is measured, and by which clock: of the wall, or of the processor."""

    data: int
    threads: int
    clock: str
    turns: int
    paper_turns: int
    epochs: int

    @property
    def loader(self) -> Batches:
        return Batches(self.data)

    def seconds(self, run: Callable[[], object]) -> float:
        start = CLOCKS[self.clock]()
        run()
        return CLOCKS[self.clock]() - start


@contextmanager
def peers(config: Config) -> Iterator[Ask]:
    """A function that lets the peers answer one request."""
    if not (ROOT / ".venv-peers/.ready").exists():
        subprocess.run(["make", "-C", str(ROOT), ".venv-peers/.ready"], check=True)
    command = [str(ROOT / ".venv-peers/bin/python"), str(ROOT / "experiments/peers/worker.py")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def ask(**request: Any) -> dict[str, Any]:
            print(json.dumps(asdict(config) | request), file=process.stdin, flush=True)
            return json.loads(process.stdout.readline())

        yield ask
        process.stdin.close()


def epoch(net: nn.Module, loader: Batches) -> None:
    net.train()
    optimizer = torch.optim.Adam(net.parameters(), 1e-4)
    for x, y in loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()


def curvature(net: nn.Module, loader: Batches, columns: str, blocks: dict[str, Any]) -> None:
    """KFAC with all eigenvalues, which is what the evidence needs, into `blocks`."""
    blocks |= rq.kfac(net.eval(), loader, fisher=columns)
    for block in blocks.values():
        block.eigenvalues()


def passes(net: nn.Module, loader: Batches, columns: str) -> None:
    """The forward and backward passes of `curvature` alone: what no Gram can undercut."""
    root = Pass(fisher=columns).root()
    for recording, _ in recorded_passes(net.eval(), loader, Categorical()):
        found = root(recording.outputs.detach())
        for k in range(found.shape[2]):
            recording.gradients(found[:, :, k], keep=True)


def against_peers(config: Config, padding: str, ask: Ask) -> tuple[Times, float]:
    """Seconds of everything by turn, and the largest relative difference of log determinants."""
    net, trained, loader = network(padding), network(padding), config.loader
    times: dict[str, list[float]] = defaultdict(list)
    differences = []
    for _ in range(config.turns):
        times["epoch"].append(config.seconds(lambda: epoch(trained, loader)))
        for columns in COLUMNS:
            ours: dict[str, Any] = {}
            run = partial(curvature, net, loader, columns, ours)
            times[f"ours {columns}"].append(config.seconds(run))
            alone = config.seconds(partial(passes, net, loader, columns))
            times[f"passes alone {columns}"].append(alone)
            for backend in BACKENDS:
                found = ask(padding=padding, backend=backend, columns=columns)
                times[f"{backend} {columns}"].append(found["seconds"])
                if columns == "exact":
                    differences.append(difference(net, ours, found))
        show(padding, times)
    return times, max(differences)


def difference(net: nn.Module, blocks: dict[str, Any], found: dict[str, Any]) -> float:
    """Of log det(H + 1), over parameters that the peers treat as KFAC-expand says."""
    ours = {name: float(block.logdet(1.0)) for name, block in blocks.items()}
    theirs = dict(zip((n for n, _ in net.named_parameters()), found["logdets"], strict=True))
    linear = {f"{n}.bias" for n, m in net.named_modules() if isinstance(m, nn.Linear)}
    names = [n for n in ours if n.endswith("weight") or n in linear]
    return max(abs(ours[n] / theirs[n] - 1) for n in names)


def papers(config: Config) -> tuple[Times, float]:
    """Seconds of PaperNet CONV and F-FC+CONV, and MiB of all F-FC factors."""
    nets = {spec: rq.models.PaperNet(spec, alpha=10) for spec in ("CONV", "F-FC+CONV")}
    times: dict[str, list[float]] = defaultdict(list)
    blocks: dict[str, Any] = {}
    for _ in range(config.paper_turns):
        for spec, net in nets.items():
            times[f"{spec} epoch"].append(config.seconds(partial(epoch, net, config.loader)))
            for columns in COLUMNS:
                run = partial(curvature, net, config.loader, columns, blocks)
                times[f"{spec} {columns}"].append(config.seconds(run))
        show("PaperNet", times)
    factors = [f for name, block in blocks.items() if "F-FC" in name for f in block.factors]
    return times, sum(f.numel() * f.element_size() for f in factors) / 2**20


def warm_up(ask: Ask) -> None:
    """What is done once per process: memory, threads, imports."""
    net, loader = network("zeros"), Batches(128)
    epoch(net, loader)
    for columns in COLUMNS:
        curvature(net, loader, columns, {})
        for backend in BACKENDS:
            ask(padding="zeros", backend=backend, columns=columns, data=128)


@dataclass(frozen=True)
class Timed(Batches):
    """Notes the time at the start of every epoch of `fit`, and of the evidence at its end."""

    clock: str = "wall"
    starts: dict[int, float] = field(default_factory=dict)

    def set_epoch(self, epoch: int) -> None:
        self.starts[epoch] = CLOCKS[self.clock]()


def trained() -> dict[str, Callable[[], nn.Module]]:
    """The networks whose training by the evidence is compared with MAP."""
    plain = {padding: partial(network, padding) for padding in PADDINGS}
    specs = ("CONV", "F-FC+CONV")
    return plain | {
        f"PaperNet {spec}": partial(rq.models.PaperNet, spec, alpha=10) for spec in specs
    }


def training(config: Config, make: Callable[[], nn.Module]) -> dict[str, float]:
    """Mean seconds of an epoch by MAP and by the evidence (an update every 5 epochs), and ratios.

    "ratio" is that of the two runs. "ratio within" compares the evidence's epochs with its own
    epochs without update, which a changing load of the machine touches alike.
    """
    options = rq.Options(
        burn_in=0, update_every=5, evaluate_every=10**9, final_fisher="mc", progress=False
    )
    runs = {}
    for objective in ("map", "laplace"):
        loader = Timed(config.data, clock=config.clock)
        rq.fit(make(), loader, None, config.epochs, objective, options)
        starts = [loader.starts[n] for n in range(config.epochs + 1)]
        runs[objective] = [b - a for a, b in zip(starts, starts[1:], strict=False)]
    updates = runs["laplace"][4::5]
    plain = statistics.median(s for n, s in enumerate(runs["laplace"], 1) if n % 5)
    mean = {objective: statistics.mean(found) for objective, found in runs.items()}
    return mean | {
        "ratio": mean["laplace"] / mean["map"],
        "ratio within": (4 * plain + statistics.median(updates)) / (5 * plain),
    }


def speeds(config: Config) -> tuple[float, float]:
    """Multiply-adds and bytes per second that torch reaches: a matrix product, a long sum."""
    a, b = torch.randn(2, 1024, 1024)
    product = min(config.seconds(lambda: a @ b) for _ in range(9))
    x, y = torch.randn(2, 1 << 25)
    moved = min(config.seconds(lambda: torch.add(x, 1.0, out=y)) for _ in range(9))
    return 1024**3 / product, 8 * len(x) / moved


def show(title: str, times: Times) -> None:
    print(title, {name: [round(t, 2) for t in found] for name, found in times.items()}, flush=True)


def main(  # noqa: PLR0913  (options of a command)
    data: Annotated[int, typer.Option(min=128, help="Random images, in batches of 128.")] = 2048,
    threads: Annotated[int, typer.Option(min=1, help="Threads of torch.")] = 2,
    clock: Annotated[str, typer.Option(help="wall, or cpu on a machine that is shared.")] = "wall",
    turns: Annotated[int, typer.Option(min=1, help="Turns with the peers.")] = 3,
    paper_turns: Annotated[int, typer.Option(min=1, help="Turns of PaperNet.")] = 3,
    epochs: Annotated[int, typer.Option(min=5, help="Epochs of each training.")] = 20,
    results: Annotated[Path, typer.Option(help="Folder of the record.")] = Path(
        "experiments/results"
    ),
) -> None:
    config = Config(data, threads, clock, turns, paper_turns, epochs)
    torch.set_num_threads(threads)
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    speed = speeds(config)
    with peers(config) as ask:
        warm_up(ask)
        found = {padding: against_peers(config, padding, ask) for padding in PADDINGS}
    if found["zeros"][1] > 1e-2:
        raise SystemExit(f"log determinants differ from the peers' by {found['zeros'][1]:.1%}.")
    fits = {name: training(config, make) for name, make in trained().items()}
    of_papers = papers(config)
    facts = run_facts("random images, 3×32×32", asdict(config))
    facts |= {"processes per core that were waiting at the start": round(load, 1)}
    values = {
        "seconds": {padding: times for padding, (times, _) in found.items()},
        "largest difference of log determinants": {p: d for p, (_, d) in found.items()},
        "papers": of_papers[0],
        "F-FC factors in MiB": of_papers[1],
        "training": fits,
        "multiply-adds and bytes per second": speed,
        "floor per datum": {name: vars(work) for name, work in floors().items()},
    }
    text = f"{peers_table(found, data, speed)}\n\n{targets(found, of_papers, fits)}"
    stem = results / f"bench_curvature_{data}"
    print(save_record(stem, "What curvature costs", facts, text, values))


if __name__ == "__main__":
    typer.run(main)
