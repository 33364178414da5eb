"""Why sampled weights predict badly and linearised predictions doubt: one approximation at a time.

    .venv/bin/python experiments/posteriors.py

trains (or continues in runs/posteriors) F-FC+CONV networks of two relaxed layers, and PaperNet
with its eight, on the demo's task "digit" by the evidence. Then it predicts held-out digits with
posteriors N(θ*, T (H + α)⁻¹) around the same weights θ*, under the same precisions α, by 64 draws
of θ each:

    whole GGN    H with all blocks between parameters: Laplace's method itself
    KFAC         Kronecker factors of the block of each parameter, drawn by relaxeq's Posterior

"linearised" moves outputs by J (θ − θ*), "sampled" runs the network at θ. The whole GGN knows
nothing of relaxeq's curvature: its J comes from torch.func. Writes
experiments/results/posteriors.{json,md}.
"""

import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from options import RESULTS, TOY_DATA, Results, Runs, Seeds
from rich.progress import track
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap
from torch.nn.utils import parameters_to_vector

import relaxeq as rq
from relaxeq.cli import run_function
from relaxeq.curvature import Pass
from relaxeq.data import Sets, TensorLoader, ToyTask
from relaxeq.groups import Z2
from relaxeq.recipe import FitResult, calibration, posterior, prior_groups
from relaxeq.report import markdown_table, run_facts, save_record
from relaxeq.study import Cell, Network, Paper, Training, figure_of, fit_cell

TEMPERATURES = (1.0, 0.1, 0.01)
LR, BATCH, DRAWS = 0.005, 50, 64


@dataclass(frozen=True)
class TwoLayers(Network):
    """Two relaxed layers, each halving the grid, and a linear one."""

    cost = 1.0

    def build(self, sets: Sets) -> nn.Module:
        sizes = [(sets.channels, 16), (4, 8), (4, 4)]
        one, two, three = [rq.Field(Z2(), c, (size, size)) for c, size in sizes]
        first, second = rq.RelaxedLayer(one, two, stride=2), rq.RelaxedLayer(two, three, stride=2)
        head = nn.Linear(three.dim, sets.outputs)
        return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), head)


STUDIES: tuple[tuple[int, Network, int, int], ...] = (
    (2, TwoLayers(), 100, 200),
    (2, TwoLayers(), 500, 100),
    (8, Paper("F-FC+CONV", 2), 500, 100),
)
"""How many relaxed layers, of which network, digits to train on, and epochs."""


def cell_of(study: tuple[int, Network, int, int], seed: int) -> Cell:
    layers, network, data, epochs = study
    title = f"{layers} relaxed layers, N = {data}, {epochs} epochs"
    training = Training(epochs, lr=LR, batch=BATCH)
    return Cell(title, "digit", network, ToyTask("digit", data, 200), training, "laplace", seed)


def jacobians(net: nn.Module, x: Tensor) -> Tensor:
    """J (batch, out, P) of all parameters, by torch.func: nothing of relaxeq's curvature."""
    values = {name: p.detach() for name, p in net.named_parameters()}

    def outputs(parameters: dict[str, Tensor], datum: Tensor) -> Tensor:
        return functional_call(net, parameters, (datum[None],))[0]

    parts = [vmap(jacrev(outputs), (None, 0))(values, part) for part in x.split(25)]
    return torch.cat([torch.cat([p[n].flatten(2) for n in values], 2) for p in parts])


def precisions(result: FitResult) -> Tensor:
    """α of every parameter, (P,)."""
    learned = {prior.name: prior.precision for prior in result.priors}
    owners = {n: learned[g.name] for g in prior_groups(result.net) for n in g.parameters}
    sizes = [(owners[name], p.numel()) for name, p in result.net.named_parameters()]
    return torch.cat([torch.full((size,), alpha) for alpha, size in sizes])


def exact_steps(rows: Tensor, alphas: Tensor, draws: int) -> tuple[Tensor, float]:
    """Draws (P, draws) of N(0, (RᵀR + α)⁻¹) and γ, through the kernel R α⁻¹ Rᵀ + 1.

    A draw p of the prior and a draw e of N(0, 1) give p − α⁻¹ Rᵀ (R α⁻¹ Rᵀ + 1)⁻¹ (R p + e).
    """
    prior = torch.randn(len(alphas), draws) / alphas.sqrt()[:, None]
    kernel = ((rows / alphas) @ rows.mT).double() + torch.eye(len(rows), dtype=torch.float64)
    root = torch.linalg.cholesky(kernel)
    wanted = (rows @ prior + torch.randn(len(rows), draws)).double()
    pulled = torch.cholesky_solve(wanted, root).to(rows)
    gamma = len(rows) - float(torch.cholesky_inverse(root).trace())
    return prior - (rows / alphas).mT @ pulled, gamma


def kinds(result: FitResult, loader: TensorLoader) -> Iterator[tuple[str, Tensor, float]]:
    """Draws of θ − θ* (P, draws) and γ by every kind of posterior."""
    net, (x, _) = result.net, loader.tensors
    alphas = precisions(result)
    roots = Pass().root()(net(x).detach())
    rows = torch.einsum("nkp,nkc->ncp", jacobians(net, x), roots).flatten(0, 1)
    yield "whole GGN", *exact_steps(rows, alphas, DRAWS)
    found, centre = posterior(result, loader), parameters_to_vector(net.parameters()).detach()
    drawn = []
    for _ in range(DRAWS):
        with found.sampled() as moved:
            drawn.append(parameters_to_vector(moved.parameters()).detach() - centre)
    yield "KFAC", torch.stack(drawn, 1), sum(prior.effective_parameters for prior in result.priors)


def measured(cell: Cell, folder: Path) -> list[dict[str, Any]]:
    result, sets = fit_cell(cell, folder), cell.task.load(cell.seed)
    loader, (x, y) = cell.training.loaders(sets, cell.seed)[0], sets.test.tensors
    net = result.net.eval()
    of_test, centre = jacobians(net, x), net(x).detach()
    base = {"network": cell.row, "seed": cell.seed, "parameters": of_test.shape[2]}
    base |= {"slope": result.slope.ratio}
    alone = asdict(calibration(centre.softmax(-1), y))
    rows = [base | {"kind": "θ* alone", "method": "map"} | alone]
    torch.manual_seed(cell.seed)
    for kind, steps, gamma in kinds(result, loader):
        for temperature in TEMPERATURES:
            moves = temperature**0.5 * steps
            linear = centre + torch.einsum("nkp,ps->snk", of_test, moves)
            drawn = torch.stack([outputs_at(net, move, x) for move in moves.mT])
            for method, f in (("linearised", linear), ("sampled", drawn)):
                own = base | {"kind": kind, "method": method, "temperature": temperature}
                own |= {"gamma": gamma, "deviation": float((f - centre).square().mean().sqrt())}
                rows.append(own | asdict(calibration(f.softmax(-1).mean(0), y)))
    return rows


@torch.no_grad()
def outputs_at(net: nn.Module, move: Tensor, x: Tensor) -> Tensor:
    parameters = dict(net.named_parameters())
    parts = move.split([p.numel() for p in parameters.values()])
    pairs = zip(parameters.items(), parts, strict=True)
    moved = {name: p + part.view_as(p) for (name, p), part in pairs}
    outputs: Tensor = functional_call(net, moved, (x,))
    return outputs


def table(rows: list[dict[str, Any]]) -> str:
    keys = ("network", "kind", "method", "temperature")
    cells = []
    for key in dict.fromkeys(tuple(row.get(k) for k in keys) for row in rows):
        own = [row for row in rows if tuple(row.get(k) for k in keys) == key]
        network, kind, method, temperature = key
        deviation = "" if temperature is None else over(own, "deviation", 2)
        shown = "" if temperature is None else f"{temperature:g}"
        cells.append([network, kind, method, shown, deviation, over(own, "nll", 3)])
        cells[-1] += [over(own, name, 1, 100) for name in ("accuracy", "ece")]
    head = ["network", "posterior", "prediction", "T", "deviation of outputs", "test NLL (nats)"]
    notes = [
        f"- {network}: P = {own[0]['parameters']}, γ = "
        f"{statistics.mean(r['gamma'] for r in own if r.get('kind') == 'whole GGN'):.0f} (whole), "
        f"{statistics.mean(r['gamma'] for r in own if r.get('kind') == 'KFAC'):.0f} (KFAC), "
        f"slope/noise at the end {statistics.mean(r['slope'] for r in own):.2f}"
        for network in dict.fromkeys(row["network"] for row in rows)
        for own in [[row for row in rows if row["network"] == network]]
    ]
    text = markdown_table([*head, "test accuracy (%)", "ECE (%)"], cells, left=3)
    return text + "\n\n" + "\n".join(notes)


def over(rows: list[dict[str, Any]], name: str, digits: int, factor: float = 1.0) -> str:
    return figure_of([factor * row[name] for row in rows]).text(digits, len(rows) > 1)


def main(seeds: Seeds = 3, out: Runs = Path("runs/posteriors"), results: Results = RESULTS) -> None:
    torch.set_num_threads(1)
    todo = [cell_of(study, seed) for study in STUDIES for seed in range(seeds)]
    rows = [row for cell in track(todo, "trainings") for row in measured(cell, out / cell.name)]
    settings = {"networks": list(dict.fromkeys(cell.row for cell in todo))}
    settings |= {"lr": LR, "batch": BATCH, "seeds": list(range(seeds)), "draws": DRAWS}
    facts = run_facts(TOY_DATA + ", 200 for testing", settings)
    stem, title = results / "posteriors", "What each approximation of the posterior predicts"
    print(save_record(stem, title, facts, table(rows), {"rows": rows}))


if __name__ == "__main__":
    run_function(main)
