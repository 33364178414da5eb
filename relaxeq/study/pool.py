"""Several runs at once, one thread each, with one progress display for all."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import connection
from typing import TypeVar

import torch

from relaxeq.study.plainly import warn_plainly

Result = TypeVar("Result")
POLL = 0.25
"""Seconds between looks at the runs."""


def run_all(
    work: Callable[..., Result],
    arguments: Sequence[tuple[object, ...]],
    jobs: int,
    watch: Callable[[], None],
) -> list[Result]:
    """The results of work(*arguments[i]) in order, `jobs` at a time, in processes of one thread.

    `watch` is called now and then while they run. The first error, or an interruption, ends all
    processes and is raised here.
    """
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(jobs, context, _start_worker) as pool,
        _children_end_with_errors(),
    ):
        futures = [pool.submit(work, *given) for given in arguments]
        for _ in _while_pending(futures):
            watch()
        return [future.result() for future in futures]


def _start_worker() -> None:
    """One torch thread, and an end with the parent: a killed program leaves nobody training."""
    warn_plainly()
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _while_pending(futures: Iterable["Future[Result]"]) -> Iterator[None]:
    pending = set(futures)
    while pending:
        done, pending = wait(pending, POLL, FIRST_COMPLETED)
        for future in done:
            future.result()
        yield


@contextmanager
def _children_end_with_errors() -> Iterator[None]:
    """End running trainings when something went wrong: they continue from checkpoints."""
    before = set(multiprocessing.active_children())
    try:
        yield
    except BaseException:
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
        raise
