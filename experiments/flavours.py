"""How far each flavour of curvature is from the truth, and whether it would choose another path.

    .venv/bin/python experiments/flavours.py

trains small networks of every spec on the 8×8 digits by MAP, takes the curvature of every path in
each flavour and exactly, and writes experiments/results/flavours.json and flavours.md: the bias of
log det(H + α) per parameter, the relative Frobenius error, the shift of the best log α, and how
often the relative effective number of parameters (App. D.2) names another path of the layer.
"""

import datetime
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.progress import track
from torch import nn

import relaxeq as rq
from relaxeq.curvature import FLAVOURS, Block, Pass, estimate
from relaxeq.data import TensorLoader, load_digits
from relaxeq.evidence import LBFGS, Term
from relaxeq.groups import Z2, p4, semidirect
from relaxeq.report import markdown_table, write_text


@dataclass(frozen=True)
class Config:
    """One trained network per spec and seed."""

    specs: tuple[str, ...] = ("FC+CONV", "F-FC+CONV", "F-FC+CONV+GCONV")
    seeds: int = 8
    data: int = 200
    epochs: int = 40
    lr: float = 0.01
    channels: tuple[int, int] = (2, 3)


@dataclass(frozen=True)
class Finding:
    """One path of one network in one flavour, against its exact block."""

    spec: str
    seed: int
    layer: str
    path: str
    flavour: str
    bias: float
    frobenius: float
    shift: float
    share: float


def network(config: Config, spec: str) -> nn.Module:
    group = semidirect(Z2(), p4()) if "GCONV" in spec else Z2()
    sizes = ((8, 8), (4, 4), (2, 2))
    depth = (1, *config.channels)
    fields = [rq.Field(group, c, size) for c, size in zip(depth, sizes, strict=True)]
    lift = [rq.Lift(rq.Field(group, 1, (8, 8), rep="trivial"))] if "GCONV" in spec else []
    pairs = zip(fields, fields[1:], strict=False)
    layers = [m for a, b in pairs for m in (rq.RelaxedLayer(a, b, spec, stride=2), nn.ReLU())]
    return nn.Sequential(*lift, *layers, nn.Flatten(), nn.Linear(fields[-1].dim, 10))


def measured(config: Config, spec: str, seed: int) -> Iterator[Finding]:
    torch.manual_seed(seed)
    images, labels = load_digits()
    chosen = torch.randperm(len(images))[: config.data]
    x = (images[chosen, None] - images.mean()) / images.std()
    loader = TensorLoader((x, labels[chosen]), 50, seed=seed)
    net = network(config, spec)
    options = rq.Options(lr=config.lr, progress=False, seed=seed)
    rq.fit(net, loader, None, config.epochs, "map", options)
    found = {name: estimate(net, loader, Pass(), name).blocks for name in FLAVOURS}
    for layer, module in net.named_modules():
        if isinstance(module, rq.RelaxedLayer):
            yield from _layer(spec, seed, layer, module, found)


def _layer(spec: str, seed: int, layer: str, module: nn.Module, found: dict) -> Iterator[Finding]:
    for flavour, blocks in found.items():
        shares = {}
        for label, path in module.paths.items():
            names = [f"{layer}.paths.{label}.{own}" for own, _ in path.named_parameters()]
            term = _term(path, [blocks[n] for n in names])
            exact = _term(path, [found["exact"][n] for n in names])
            best, truth = _best(term), _best(exact)
            errors = [_frobenius(blocks[n], found["exact"][n]) for n in names]
            gap = _logdet(term, truth) - _logdet(exact, truth)
            gamma = term.effective_parameters(1.0) / term.size
            shares[label] = (gap / term.size, statistics.mean(errors), best, truth, gamma)
        total = sum(values[4] for values in shares.values())
        for label, (bias, error, best, truth, gamma) in shares.items():
            shift = (torch.tensor(best).log() - torch.tensor(truth).log()).item()
            yield Finding(spec, seed, layer, label, flavour, bias, error, shift, gamma / total)


def _term(path: nn.Module, blocks: list[Block]) -> Term:
    norm = sum(float(p.detach().double().square().sum()) for p in path.parameters())
    return Term(torch.cat([block.eigenvalues() for block in blocks]), norm)


def _best(term: Term) -> float:
    return LBFGS(damping=1.0).step({"path": term}, {"path": 1.0}, {})[0]["path"]


def _logdet(term: Term, precision: float) -> float:
    return float((term.eigenvalues + precision).log().sum())


def _frobenius(block: Block, truth: Block) -> float:
    exact = truth.dense().double()
    return float((block.dense().double() - exact).norm() / exact.norm().clamp_min(1e-30))


def table(findings: list[Finding]) -> str:
    rows, types = defaultdict(list), {}
    for f in findings:
        rows[f.path, f.flavour].append(f)
        best = types.get((f.spec, f.seed, f.layer, f.flavour))
        if best is None or f.share > best.share:
            types[f.spec, f.seed, f.layer, f.flavour] = f
    lines = [
        [
            path,
            flavour,
            str(len(found)),
            f"{statistics.mean(f.bias for f in found):+.3f}",
            f"{statistics.mean(f.frobenius for f in found):.2f}",
            f"{statistics.mean(f.shift for f in found):+.2f}",
        ]
        for (path, flavour), found in sorted(rows.items())
    ]
    head = ["path", "flavour", "blocks", "log det bias / P", "Frobenius", "shift of best log α"]
    text = markdown_table(head, lines)
    return text + "\n" + _choices(types)


def _choices(types: dict[tuple[str, int, str, str], Finding]) -> str:
    lines = []
    for flavour in FLAVOURS:
        keys = [key for key in types if key[3] == flavour]
        same = sum(types[k].path == types[k[0], k[1], k[2], "exact"].path for k in keys)
        lines.append([flavour, f"{same} of {len(keys)}"])
    return markdown_table(["flavour", "layers of the same type as by exact blocks"], lines)


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Networks per spec.")] = Config.seeds,
    results: Annotated[Path, typer.Option(help="Folder of the record.")] = Path(
        "experiments/results"
    ),
) -> None:
    config = Config(seeds=seeds)
    runs = [(spec, seed) for spec in config.specs for seed in range(seeds)]
    findings = [f for run in track(runs, "networks") for f in measured(config, *run)]
    facts = {
        "command": " ".join(["python experiments/flavours.py", *sys.argv[1:]]),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "data": f"{config.data} UCI digits, 8×8",
        "config": asdict(config),
        "torch": torch.__version__,
    }
    record = facts | {"findings": [asdict(f) for f in findings]}
    write_text(json.dumps(record, indent=1) + "\n", results / "flavours.json")
    lines = "".join(f"- {key}: {value}\n" for key, value in facts.items())
    text = f"# Flavours of curvature against the truth\n\n{lines}\n{table(findings)}"
    write_text(text, results / "flavours.md")
    print(text)


if __name__ == "__main__":
    typer.run(main)
