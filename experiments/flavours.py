"""How far each flavour of curvature is from the truth, and whether it would choose another path.

    .venv/bin/python experiments/flavours.py

trains small networks of every kind of path on the 8×8 digits and writes
experiments/results/flavours.json and flavours.md. At the weights of a MAP run: the bias of
log det(H + α) per parameter and its sign, the relative Frobenius error, and the shift of the best
log α. From the same start by the evidence, once with each flavour: how often App. D.2 names another
path of the layer than with exact blocks, and how far the learned log α are apart.
"""

import math
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
from options import RESULTS, Results, Seeds
from rich.progress import track
from torch import nn

import relaxeq as rq
from relaxeq.cli import run_function
from relaxeq.curvature import FLAVOURS, Block, Pass, estimate
from relaxeq.data import TensorLoader, load_digits, toy_task
from relaxeq.evidence import LBFGS, Term
from relaxeq.groups import Z2, p4, semidirect
from relaxeq.recipe import FitResult
from relaxeq.report import markdown_table, run_facts, save_record

SPECS = (
    "FC+CONV",
    "F-FC+CONV",
    "F-FC+CONV+GCONV pointwise",
    "F-FC+CONV+GCONV full",
    "CONV+GCONV separable",
    "CONV+GCONV depthwise-separable",
    "S-FC+S-CONV",
)


@dataclass(frozen=True)
class Config:
    """A MAP run, and a run by the evidence per flavour, of every spec and seed."""

    specs: tuple[str, ...] = SPECS
    seeds: int = 3
    data: int = 200
    epochs: int = 40
    lr: float = 0.01
    channels: tuple[int, int] = (2, 3)


@dataclass(frozen=True)
class Finding:
    """One path of one MAP network in one flavour, against its exact block."""

    spec: str
    seed: int
    layer: str
    path: str
    flavour: str
    size: int
    gap: float  # of log det(H + α) in nats, α the best of the exact block
    frobenius: float
    shift: float


@dataclass(frozen=True)
class Choice:
    """What one run by the evidence made of a layer: its type, its log α, evidence per datum."""

    spec: str
    seed: int
    layer: str
    flavour: str
    chosen: str
    logs: dict[str, float]
    evidence: float


def network(config: Config, text: str) -> nn.Module:
    spec, _, filters = text.partition(" ")
    group = semidirect(Z2(), p4()) if "GCONV" in spec else Z2()
    sizes = ((8, 8), (4, 4), (2, 2))
    fields = [
        rq.Field(group, c, size) for c, size in zip((1, *config.channels), sizes, strict=True)
    ]
    lift = [rq.Lift(rq.Field(group, 1, (8, 8), rep="trivial"))] if "GCONV" in spec else []
    options = {"stride": 2} | ({"filters": filters} if filters else {})
    pairs = zip(fields, fields[1:], strict=False)
    layers = [m for a, b in pairs for m in (rq.RelaxedLayer(a, b, spec, **options), nn.ReLU())]
    return nn.Sequential(*lift, *layers, nn.Flatten(), nn.Linear(fields[-1].dim, 10))


def start(config: Config, spec: str, seed: int) -> tuple[nn.Module, TensorLoader]:
    torch.manual_seed(seed)
    images, labels = load_digits()
    chosen = torch.randperm(len(images))[: config.data]
    x = (images[chosen, None] - images.mean()) / images.std()
    return network(config, spec), TensorLoader((x, labels[chosen]), 50, seed=seed)


def fitted(config: Config, spec: str, seed: int, objective: str, flavour: str) -> FitResult:
    net, loader = start(config, spec, seed)
    options = rq.Options(lr=config.lr, curvature=flavour, fisher="exact", progress=False, seed=seed)
    return rq.fit(net, loader, None, config.epochs, objective, options)


def measured(config: Config, spec: str, seed: int) -> Iterator[Finding]:
    net = fitted(config, spec, seed, "map", "kfac").net
    loader = start(config, spec, seed)[1]
    found = {name: estimate(net, loader, Pass(), name).blocks for name in FLAVOURS}
    for layer, module in net.named_modules():
        if isinstance(module, rq.RelaxedLayer):
            for label, path in module.paths.items():
                prefix = f"{layer}.paths.{label}."
                names = [n for n in found["exact"] if n.startswith(prefix)]
                exact = _term(path, [found["exact"][n] for n in names])
                truth = _best(exact)
                for flavour, blocks in found.items():
                    term = _term(path, [blocks[n] for n in names])
                    errors = [_frobenius(blocks[n], found["exact"][n]) for n in names]
                    yield Finding(
                        *(spec, seed, layer, path.label, flavour, term.size),
                        gap=_logdet(term, truth) - _logdet(exact, truth),
                        frobenius=statistics.mean(errors),
                        shift=math.log(_best(term) / truth),
                    )


def learned(config: Config, spec: str, seed: int) -> Iterator[Choice]:
    for flavour in FLAVOURS:
        result = fitted(config, spec, seed, "laplace", flavour)
        rows = rq.summary(result).rows
        for layer in sorted({row.name for row in rows}):
            own = [row for row in rows if row.name == layer]
            logs = {row.path: math.log(row.precision) for row in own}
            yield Choice(spec, seed, layer, flavour, own[0].layer_type, logs, result.evidence)


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


def costs(data: int = 512) -> dict[str, float]:
    """Seconds of each flavour with its eigenvalues, on the demo's F-FC+CONV network."""
    train, _ = toy_task("digit", train=data, test=1)
    loader = TensorLoader(train, 128)
    torch.manual_seed(0)
    net = rq.models.PaperNet("F-FC+CONV", in_channels=1, classes=10, alpha=4, size=(16, 16))
    found = {}
    for flavour in (name for name in FLAVOURS if name != "exact"):
        spent = []
        for _ in range(3):
            begin = time.process_time()
            for block in estimate(net.eval(), loader, Pass(), flavour).blocks.values():
                block.eigenvalues()
            spent.append(time.process_time() - begin)
        found[flavour] = min(spent)
    return found


def bias_table(findings: list[Finding]) -> str:
    rows = defaultdict(list)
    for f in findings:
        rows[f.path, f.flavour].append(f)
        rows["all", f.flavour].append(f)
    order = sorted(rows, key=lambda key: (key[0] != "all", key[0], list(FLAVOURS).index(key[1])))
    lines = [
        [
            path,
            flavour,
            str(len(found)),
            f"{sum(f.gap for f in found) / sum(f.size for f in found):+.4f}",
            f"{sum(f.gap < -1e-6 * f.size for f in found)}",
            f"{statistics.mean(f.frobenius for f in found):.2f}",
            f"{statistics.mean(f.shift for f in found):+.2f}",
        ]
        for path, flavour in order
        if flavour != "exact"
        for found in [rows[path, flavour]]
    ]
    head = ("path", "flavour", "cases", "log det bias / P", "cases from below", "Frobenius error")
    return markdown_table((*head, "shift of best log α"), lines)


def choice_table(choices: list[Choice], data: int, seconds: dict[str, float]) -> str:
    lines = []
    truth = {(c.spec, c.seed, c.layer): c for c in choices if c.flavour == "exact"}
    for flavour in FLAVOURS:
        own = [(c, truth[c.spec, c.seed, c.layer]) for c in choices if c.flavour == flavour]
        same = sum(c.chosen == t.chosen for c, t in own)
        away = statistics.mean(abs(c.logs[p] - t.logs[p]) for c, t in own for p in c.logs)
        evidence = statistics.mean(data * (c.evidence - t.evidence) for c, t in own)
        ratio = f"{seconds[flavour] / seconds['kfac']:.1f}" if flavour in seconds else "–"
        cells = [f"{same} of {len(own)}", f"{away:.2f}", f"{evidence:+.1f}", ratio]
        lines.append([flavour, *cells])
    head = ("flavour", "layers of the type that exact blocks give", "mean |Δ log α|")
    return markdown_table((*head, "Δ log evidence (nats)", "time, in that of kfac"), lines)


def main(
    seeds: Seeds = Config.seeds,
    results: Results = RESULTS,
) -> None:
    torch.set_num_threads(1)
    config = Config(seeds=seeds)
    begin = time.process_time()
    runs = [(spec, seed) for spec in config.specs for seed in range(seeds)]
    findings, choices = [], []
    for run in track(runs, "networks"):
        findings += measured(config, *run)
        choices += learned(config, *run)
    seconds = costs()
    data = f"{config.data} UCI digits, 8×8; times on 512 of the demo's, 16×16"
    taken = {"CPU seconds": round(time.process_time() - begin)}
    facts = run_facts(data, asdict(config)) | taken
    values = {"times": seconds, "findings": [asdict(f) for f in findings]}
    values |= {"choices": [asdict(c) for c in choices]}
    tables = bias_table(findings), choice_table(choices, config.data, seconds)
    stem, title = results / "flavours", "Flavours of curvature against the truth"
    text = save_record(stem, title, facts, f"{tables[0]}\n\n{tables[1]}", values)
    print(text)


if __name__ == "__main__":
    run_function(main)
