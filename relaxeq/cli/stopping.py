"""Ctrl-C while networks train: what was trained stays, and the command says so."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

INTERRUPTED = 130


@contextmanager
def continuing() -> Iterator[None]:
    """A block that trains in run folders; Ctrl-C in it ends the command with exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("\nStopped; the same command continues where it was.", err=True)
        raise typer.Exit(INTERRUPTED) from None
