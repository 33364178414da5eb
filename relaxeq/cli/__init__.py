"""The command line: relaxeq demo, relaxeq report, relaxeq check."""

from relaxeq.cli.app import main, run_function

__all__ = ["main", "run_function"]
