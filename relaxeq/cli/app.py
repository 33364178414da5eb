"""The entry point: commands, exit codes, and errors without tracebacks."""

import io
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Annotated, Any, NoReturn

import typer

from relaxeq.cli.check import check
from relaxeq.cli.demo import demo
from relaxeq.cli.fit import fit
from relaxeq.cli.report import report
from relaxeq.cli.table import table
from relaxeq.errors import RelaxeqError
from relaxeq.study import warn_plainly

USAGE = 2
LOOK: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
app = typer.Typer(no_args_is_help=True, **LOOK)
# What fits in a line of `relaxeq --help`; their own help is their docstring.
app.command(short_help="Learn symmetry from handwritten digits, in minutes.")(demo)
app.command(short_help="Run a table of the paper.")(table)
app.command(short_help="Train a network, and print what it learned.")(fit)
app.command(short_help="Print what a finished run learned.")(report)
app.command(short_help="Test whether a network of yours is equivariant.")(check)


def _show_version(wanted: bool) -> bool:
    if wanted:
        try:
            found = metadata.version("relaxeq")
        except metadata.PackageNotFoundError:
            found = "(a checkout that is not installed)"
        typer.echo(f"relaxeq {found}")
        raise typer.Exit
    return wanted


@app.callback()
def relaxeq(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Layers that learn how much symmetry they should have.

    Exit codes: 0 all is well, 1 something was found, 2 wrong usage or an error, 130 stopped.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    run(app, arguments, "relaxeq")


def run_function(function: Callable[..., None], arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a function as a command line of its own, as experiments do, and exit."""
    single = typer.Typer(**LOOK)
    single.command()(function)
    run(single, arguments)


def run(
    commands: typer.Typer, arguments: Sequence[str] | None, name: str | None = None
) -> NoReturn:
    """Run and exit; errors and warnings of relaxeq become one message, errors with exit code 2."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a table is no reason to fail after a training
    with warnings.catch_warnings():
        warn_plainly()
        try:
            commands(args=None if arguments is None else list(arguments), prog_name=name)
        except RelaxeqError as error:
            typer.echo(f"Error: {error}", err=True)
    sys.exit(USAGE)
