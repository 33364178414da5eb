"""Calls of the command line."""

from collections.abc import Callable

import pytest

from relaxeq.cli import main

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """call(*arguments) gives exit code, standard output and standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        code = 0 if ended.value.code is None else int(ended.value.code)
        return code, *capsys.readouterr()

    return run
