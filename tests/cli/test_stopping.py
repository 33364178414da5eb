"""Ctrl-C ends a command with its own exit code; all else passes."""

import pytest
import typer

from relaxeq.cli.stopping import continuing


def test_an_interruption_is_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, continuing():
        raise KeyboardInterrupt
    assert ended.value.exit_code == 130
    assert capsys.readouterr() == ("", "\nStopped; the same command continues where it was.\n")


def test_errors_pass() -> None:
    with pytest.raises(ValueError, match="mine"), continuing():
        raise ValueError("mine")
