"""The command line: relaxeq demo, relaxeq report."""

from relaxeq.cli.app import main

__all__ = ["main"]
