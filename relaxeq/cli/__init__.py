"""The command line: relaxeq demo, relaxeq report."""

from relaxeq.cli.app import main, run_function

__all__ = ["main", "run_function"]
