"""What curvature takes of memory, beside an epoch of training, for whole batches and in chunks.

    python experiments/bench_memory.py    # Linux only

PaperNet (α = 10) with CONV, F-FC+CONV and F-FC. Each figure is the peak of resident memory of a
process of its own that does one thing, less what network and data had taken before: an epoch with
Adam, or KFAC with all columns, and then its eigenvalues as the evidence needs them. A pass that is
not measured notes every tensor that torch makes: the largest, and whether one is a matrix (CXY)² or
(C'C)², as F-FC's curvature has in App. C.1. Writes experiments/results/bench_memory.{json,md}.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from options import RESULTS, Results
from rich.progress import track
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import relaxeq as rq
from relaxeq.cli import run_function
from relaxeq.data import TensorLoader
from relaxeq.paths import FactoredFC
from relaxeq.report import markdown_table, run_facts, save_record

SPECS = ("CONV", "F-FC+CONV", "F-FC")
READINGS = ((128, None), (512, None), (512, 128), (512, 32))
MIB = 2**20


@dataclass(frozen=True)
class Work:
    """What one process does: "epoch", "curvature", or "tensors", curvature with all noted."""

    spec: str
    what: str
    batch: int
    chunk: int | None = None
    data: int = 512
    alpha: int = 10

    @property
    def reading(self) -> str:
        parts = "" if self.chunk is None else f" in chunks of {self.chunk}"
        return f"batches of {self.batch}{parts}"

    def loader(self, data: int) -> TensorLoader | rq.Chunks:
        draws = torch.Generator().manual_seed(0)
        x = torch.randn(data, 3, 32, 32, generator=draws)
        loader = TensorLoader((x, torch.randint(10, (data,), generator=draws)), self.batch)
        return loader if self.chunk is None else rq.Chunks(loader, self.chunk)


class Tensors(TorchDispatchMode):
    """Notes the shape, bytes and operation of every tensor that operations return."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[tuple[int, ...], tuple[int, str]] = {}

    def __torch_dispatch__(  # noqa: PLR0913  (torch's)
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, Tensor):
                size = tensor.untyped_storage().nbytes()
                noted = self.seen.get(tuple(tensor.shape), (0, ""))
                self.seen[tuple(tensor.shape)] = max(noted, (size, str(func)))
        return found

    @property
    def largest(self) -> tuple[float, str]:
        """MiB, and which: its operation and shape."""
        shape, (size, name) = max(self.seen.items(), key=lambda item: item[1][0])
        return size / MIB, f"{name} {'×'.join(map(str, shape))}"


def sides(net: nn.Module) -> list[tuple[int, int]]:
    """(C, XY) and (C', C) of the network's F-FC paths, whose products no matrix may have."""
    paths = [module for module in net.modules() if isinstance(module, FactoredFC)]
    pairs = [(p.theta2.shape[1:], p.theta2.shape[:2]) for p in paths]
    return sorted({(side[0], side[1]) for pair in pairs for side in pair if min(side) > 1})


def is_whole(shape: tuple[int, ...], side: tuple[int, int]) -> bool:
    """Whether a tensor is a matrix of (a b)² entries, its axes a and b apart or not."""
    n = math.prod(side)
    return shape[-2:] == (n, n) or shape[-4:] == (*side, *side)


def epoch(net: nn.Module, loader: TensorLoader | rq.Chunks) -> None:
    optimizer = torch.optim.Adam(net.train().parameters(), 1e-3)
    for x, y in loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()


def resident() -> dict[str, float]:
    """Resident memory of this process in MiB, now (VmRSS) and at most (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    pairs = (line.split(":") for line in lines if line.startswith(("VmRSS", "VmHWM")))
    return {name: int(value.split()[0]) / 1024 for name, value in pairs}


def peak_of(run: Callable[[], object]) -> float:
    """MiB that a run took at most, beyond what was there before."""
    Path("/proc/self/clear_refs").write_text("5")  # the highest mark starts again
    before = resident()["VmRSS"]
    run()
    return resident()["VmHWM"] - before


def measured(work: Work) -> dict[str, Any]:
    """In a fresh process."""
    torch.set_num_threads(1)
    small = rq.models.PaperNet(work.spec, alpha=1)  # what is loaded once does not count
    epoch(small, work.loader(2))
    min(rq.kfac(small.eval(), work.loader(2)).values(), key=lambda b: b.size).eigenvalues()
    net, loader = rq.models.PaperNet(work.spec, alpha=work.alpha), work.loader(work.data)
    if work.what == "epoch":
        return asdict(work) | {"peak": peak_of(lambda: epoch(net, loader))}
    blocks: dict[str, rq.KroneckerBlock] = {}
    if work.what == "curvature":
        return asdict(work) | {"peak": peak_of(lambda: curvature(net, loader, blocks))}
    with Tensors() as tensors:
        curvature(net, loader, blocks)
    factors = {name: sum(f.nbytes for f in block.factors) / MIB for name, block in blocks.items()}
    return asdict(work) | {
        "factors": sum(factors.values()),
        "F-FC factors": sum(size for name, size in factors.items() if "F-FC" in name),
        "largest tensor": tensors.largest,
        "whole matrices": [s for s in tensors.seen if any(is_whole(s, one) for one in sides(net))],
    }


def curvature(net: nn.Module, loader: TensorLoader | rq.Chunks, blocks: dict[str, Any]) -> None:
    """KFAC, all columns, with all eigenvalues."""
    blocks |= rq.kfac(net.eval(), loader)
    for block in blocks.values():
        block.eigenvalues()


def table(rows: list[dict[str, Any]]) -> str:
    cells, base = [], 1.0
    for row in rows:
        if row["what"] == "epoch":
            base = row["peak"]
        if row["what"] != "tensors":
            work = Work(**{key: row[key] for key in ("spec", "what", "batch", "chunk")})
            what = {"epoch": "an epoch", "curvature": "KFAC and eigenvalues"}[work.what]
            peaks = [f"{row['peak']:.0f}", f"{row['peak'] / base:.2f}"]
            cells.append([work.spec, f"{what}, {work.reading}", *peaks])
    head = ["network", "what", "peak (MiB)", "of an epoch's"]
    return markdown_table(head, cells, left=2) + "\n\n" + "".join(map(note, rows))


def note(row: dict[str, Any]) -> str:
    """What the tensors of a pass were."""
    if row["what"] != "tensors":
        return ""
    size, which = row["largest tensor"]
    whole = len(row["whole matrices"])
    return (
        f"- {row['spec']}: all factors {row['factors']:.1f} MiB, those of F-FC "
        f"{row['F-FC factors']:.1f} MiB; the largest tensor {size:.0f} MiB ({which}); matrices of "
        f"(CXY)² or (C'C)² entries: {whole}\n"
    )


def main(
    results: Results = RESULTS,
) -> None:
    works = [
        work
        for spec in SPECS
        for work in (
            Work(spec, "epoch", 128),
            *(Work(spec, "curvature", *reading) for reading in READINGS),
            Work(spec, "tensors", 128),
        )
    ]
    context = get_context("spawn")
    with ProcessPoolExecutor(1, context, max_tasks_per_child=1) as pool:
        rows = list(track(pool.map(measured, works), "processes", len(works)))
    facts = run_facts("random images, 3×32×32", {"data": 512, "alpha": 10, "fisher": "exact"})
    facts |= {"threads": 1}
    stem, title = results / "bench_memory", "What curvature takes of memory"
    print(save_record(stem, title, facts, table(rows), {"rows": rows}))


if __name__ == "__main__":
    run_function(main)
