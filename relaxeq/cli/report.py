"""relaxeq report: the learned symmetry of a finished run."""

from pathlib import Path
from typing import Annotated

import typer

from relaxeq.cli.console import wide_console
from relaxeq.errors import CheckpointError
from relaxeq.report import Report, read_log, read_report, write_page
from relaxeq.study import PAGE, REPORT, read_settings

FINDING = 1


def report(
    run_dir: Annotated[Path, typer.Argument(help=f"A run's folder, or its {REPORT}.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Draw shares and precisions: a .png, .pdf or .svg file.")
    ] = None,
    html: Annotated[
        bool, typer.Option("--html", help=f"Write a page with curves beside the {REPORT}.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if the report has warnings.")
    ] = False,
) -> None:
    """Print what symmetry every layer of a finished run learned (Table 4).

    \b
    Examples:
      relaxeq report runs/demo/f-fc+conv_digit_laplace_seed0
      relaxeq report runs/mine --plot layers.png
      relaxeq report runs/mine --html
      relaxeq report runs/mine --json
    """
    found = find_report(run_dir)
    if plot is not None:
        found.plot(plot)
    if html:
        folder = run_dir.parent if run_dir.is_file() else run_dir
        name, facts = folder.resolve().name, read_settings(folder)
        write_page(folder / PAGE, name, found, read_log(folder), facts)
        typer.echo(f"{folder / PAGE}", err=True)
    if as_json:
        typer.echo(found.to_json(), nl=False)
    else:
        wide_console().print(found)
    if strict and found.warnings:
        raise typer.Exit(FINDING)


def find_report(run_dir: Path) -> Report:
    """The report of a run folder; an error names the runs inside a folder of several."""
    file = run_dir if run_dir.is_file() else run_dir / REPORT
    if file.exists():
        return read_report(file)
    inside = sorted(f"\n  {found.parent}" for found in run_dir.glob(f"*/{REPORT}"))
    if inside:
        remedy = f"choose one of its runs:{''.join(inside)}"
    else:
        remedy = f"when the fit is done, write relaxeq.summary(result).to_json({str(file)!r})."
    raise CheckpointError(f"RUN_DIR={str(run_dir)!r} has no {REPORT}: {remedy}")
