"""Processes: order, threads, errors and deaths."""

import time
from concurrent.futures.process import BrokenProcessPool

import pytest
import torch

from relaxeq.demo.pool import run_all

SLEEP = "__import__('time').sleep(120)"


def nothing() -> None:
    """Watch nothing."""


def test_results_come_in_the_order_of_the_arguments_from_processes_of_one_thread() -> None:
    before, looks = torch.get_num_threads(), []
    threads = "__import__('torch').get_num_threads()"
    given = [(f"__import__('time').sleep({0.5 - n / 10}), {n}, {threads}",) for n in range(5)]
    found = run_all(eval, given, 2, lambda: looks.append(True))
    assert found == [(None, n, 1) for n in range(5)]
    assert looks
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("code", "error"),
    [("1/0", ZeroDivisionError), ("__import__('os')._exit(9)", BrokenProcessPool)],
    ids=["raises", "dies"],
)
def test_an_error_ends_the_other_processes(code: str, error: type[Exception]) -> None:
    start = time.monotonic()
    with pytest.raises(error):
        run_all(eval, [(SLEEP,), (code,), (SLEEP,)], 2, nothing)
    assert time.monotonic() - start < 60


def test_an_interruption_ends_them_too() -> None:
    start = time.monotonic()

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_all(eval, [(SLEEP,), (SLEEP,)], 2, interrupt)
    assert time.monotonic() - start < 60
