"""relaxeq check: is a network equivariant, and if not, which layer is at fault?"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, final

import torch
import typer
from rich.table import Table
from rich.text import Text
from torch import Tensor, nn

from relaxeq.cli.console import wide_console
from relaxeq.errors import ShapeError, SpecError
from relaxeq.fields import Field
from relaxeq.groups import PlanarGroup, planar
from relaxeq.study import check_seed
from relaxeq.testing.equivariance import field_type, inspected, measured, probed
from relaxeq.testing.loading import load_network
from relaxeq.testing.report import ElementError, EquivarianceReport

FINDING = 1
DTYPES = {"float64": torch.float64, "float32": torch.float32}
AUTO, INVARIANT = "auto", "invariant"
REPS = ("trivial", "regular")


def check(  # noqa: PLR0913  (an option each)
    target: Annotated[str, typer.Argument(help="module.py:Net: a class, function or network.")],
    group: Annotated[str, typer.Option(help="Group: Z2, p2, p4, pm, pmm, p4m.")] = "Z2",
    size: Annotated[str, typer.Option(help="Grid of the input: 32, or 32x48.")] = "32",
    channels: Annotated[int, typer.Option(min=1, help="Channels of the input.")] = 3,
    rep: Annotated[str, typer.Option(help="What they are: trivial or regular.")] = "trivial",
    out: Annotated[
        str, typer.Option(help="Output: trivial, regular, invariant, or auto to try.")
    ] = AUTO,
    tolerance: Annotated[float | None, typer.Option(help="Largest relative error.")] = None,
    dtype: Annotated[str, typer.Option(help="float64 or float32.")] = "float64",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the weights.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Test f(a·x) = a·f(x) for a network: shifts of the torus, turns and flips about its centre.

    A table shows every layer's own error against each generator, and names the first layer at
    fault. The network is run in eval mode on standard normal features. Exit code 0: equivariant
    within tolerance; 1: not; 2: wrong usage.

    \b
    Examples:
      relaxeq check model.py:Net --group p4 --size 32
      relaxeq check layer.py:make_layer --group p4m --size 8 --channels 2 --rep regular
      relaxeq check model.py:Net --group Z2 --size 28x28 --channels 1 --json
    """
    for name, value, known in (
        ("--rep", rep, REPS),
        ("--out", out, (AUTO, INVARIANT, *REPS)),
        ("--dtype", dtype, tuple(DTYPES)),
    ):
        if value not in known:
            raise SpecError(f"{name} {value} must be one of {', '.join(known)}.")
    check_seed(seed)
    torch.manual_seed(seed)
    network = load_network(target).to(DTYPES[dtype]).eval()
    field = Field(planar(group), channels, _size(size), rep)
    verdict = _verdict(network, field, out, tolerance)
    if as_json:
        typer.echo(json.dumps(_record(target, verdict), indent=2, ensure_ascii=False))
    else:
        _show(target, verdict)
    if not verdict.report.equivariant:
        raise typer.Exit(FINDING)


@final
@dataclass(frozen=True)
class Verdict:
    """A report, the group and grid it is about, and how the output was taken to transform."""

    report: EquivarianceReport
    field: Field
    output: str


def _verdict(network: nn.Module, field: Field, out: str, tolerance: float | None) -> Verdict:
    """The best verdict under the ways in which the output may transform."""
    entering = field_type(network, "in_type")
    depth = field.depth if entering is None else entering.size
    generator = torch.Generator().manual_seed(0)
    dtype = next((p.dtype for p in network.parameters()), torch.get_default_dtype())
    x = torch.randn(4, depth, *field.size, generator=generator, dtype=dtype)
    _first_pass(network, x if entering is None else entering(x), x.shape)
    found: list[tuple[Any, Verdict]] = []
    for name, leaving in _outputs(network, field, out, x).items():
        probe = probed(network, entering or field, leaving, field.group, None, x)
        found.append((probe, Verdict(measured(probe, tolerance), field, name)))
    probe, best = min(found, key=lambda entry: float(entry[1].report))
    return Verdict(inspected(probe, best.report), field, best.output)


def _first_pass(network: nn.Module, x: Any, shape: tuple[int, ...]) -> None:
    """Run a user's network once: what it cannot take is a wrong option, not a finding."""
    try:
        network(x)
    except (Exception, SystemExit) as error:
        raise ShapeError(
            f"the network fails on an input of shape {tuple(shape)}: {str(error).rstrip('.')}. "
            "Give it --channels, --size and --rep that it takes."
        ) from error


def _outputs(network: nn.Module, field: Field, out: str, x: Tensor) -> dict[str, Any]:
    """Fields that the output may be, by name; None where it should not move."""
    declared = field_type(network, "out_type")
    if declared is not None and out == AUTO:
        return {"escnn type": declared}
    if out == INVARIANT:
        return {INVARIANT: None}
    y = probed(network, field_type(network, "in_type") or field, None, field.group, None, x).before
    if y.ndim != 4:
        if out != AUTO:
            raise ShapeError(
                f"--out {out}: the output has shape {tuple(y.shape)}, which is no grid."
            )
        return {INVARIANT: None}
    order = field.group.point_group.order
    names = [out] if out != AUTO else [rep for rep in REPS if rep == "trivial" or order > 1]
    fitting = {n: 1 if n == "trivial" else order for n in names}
    grid = (y.shape[2], y.shape[3])
    found = {
        name: Field(_kept(field.group, grid), y.shape[1] // copies, grid, name)
        for name, copies in fitting.items()
        if y.shape[1] % copies == 0
    }
    if not found:
        raise ShapeError(f"--out {out}: {y.shape[1]} channels are no multiple of |H| = {order}.")
    return found


def _kept(group: PlanarGroup, grid: tuple[int, int]) -> PlanarGroup:
    if not group.exact_on(grid):
        raise ShapeError(f"the output has the grid {grid}, which {group} does not map to itself.")
    return group


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    if found is None:
        raise SpecError(f"--size {text} must be one number or two: write 32 or 32x48.")
    return int(found[1]), int(found[2] or found[1])


def _rows(verdict: Verdict) -> list[tuple[str, str, tuple[ElementError, ...]]]:
    report = verdict.report
    rows = [(entry.name, entry.kind, entry.errors) for entry in report.modules]
    return [*rows, ("the whole", f"{report.kind} ({verdict.output})", report.errors)]


def _show(target: str, verdict: Verdict) -> None:
    report, field = verdict.report, verdict.field
    console = wide_console()
    height, width = field.size
    title = f"{Path(target).name} under {field.group} on {height}×{width}"
    table = Table(title=Text(title), title_justify="left")
    table.add_column("layer", overflow="fold")
    table.add_column("kind", overflow="fold")
    generators = field.group.generators(field.size)
    for a in generators:
        table.add_column(_brief(a), justify="right", no_wrap=True)
    table.add_column("worst", justify="right", no_wrap=True)
    for name, kind, errors in _rows(verdict):
        cells = {found.element: found.error for found in errors}
        shown = [cells[a] for a in generators] + [max(cells.values())]
        style = "bold" if name == "the whole" else None
        marked = [_cell(error, report.tolerance) for error in shown]
        name = f"{name} ←" if name == report.fault else name
        table.add_row(Text(name), Text(kind), *marked, style=style)
    console.print(table)
    console.print(Text(report.verdict))


def _brief(element: Any) -> str:
    dy, dx = element.shift
    return f"shift ({dy}, {dx})" if (dy, dx) != (0, 0) else f"turn {element.point}"


def _cell(error: float, tolerance: float) -> Text:
    passes = error <= tolerance
    return Text(f"{error:.1e}") if passes else Text(f"{error:.1e} ✗", style="red")


def _record(target: str, verdict: Verdict) -> dict[str, Any]:
    report = verdict.report
    rows = [
        {"name": name, "kind": kind, "errors": {str(e.element): e.error for e in errors}}
        for name, kind, errors in _rows(verdict)
    ]
    return {
        "target": target,
        "group": str(verdict.field.group),
        "size": list(verdict.field.size),
        "output": verdict.output,
        "tolerance": report.tolerance,
        "equivariant": report.equivariant,
        "worst": {"element": str(report.worst.element), "error": report.worst.error},
        "fault": report.fault,
        "verdict": report.verdict,
        "layers": rows[:-1],
        "whole": rows[-1],
    }
