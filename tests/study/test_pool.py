"""Processes: order, threads, errors and deaths."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
import torch

from relaxeq.study import pool
from relaxeq.study.pool import run_all

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
    assert time.monotonic() - start < 100


def test_an_interruption_ends_them_too() -> None:
    start = time.monotonic()

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_all(eval, [(SLEEP,), (SLEEP,)], 2, interrupt)
    assert time.monotonic() - start < 100


def test_warnings_of_the_evidence_are_sentences(capfd: pytest.CaptureFixture[str]) -> None:
    warn = "__import__('warnings').warn({}, __import__('relaxeq').errors.EvidenceWarning)"
    run_all(eval, [(warn.format("'too short'"),)], 1, nothing)
    assert capfd.readouterr().err == "Warning: too short\n"


KILLED = """
import os, signal, sys
from relaxeq.study.pool import run_all

def kill():
    if os.path.exists(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    write = f"open({sys.argv[1]!r}, 'w').write(str(__import__('os').getpid()))"
    run_all(eval, [(f"({write}, __import__('time').sleep(120))",)], 1, kill)
"""


def test_a_killed_parent_leaves_no_process_behind(tmp_path: Path) -> None:
    script, mark = tmp_path / "script.py", tmp_path / "pid"
    script.write_text(KILLED, "utf-8")
    here = os.environ | {"PYTHONPATH": str(Path(pool.__file__).parents[2])}
    done = subprocess.run([sys.executable, script, mark], env=here, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    child = int(mark.read_text("utf-8"))
    for _ in range(100):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail(f"process {child} outlived its parent")
