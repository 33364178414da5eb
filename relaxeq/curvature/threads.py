"""One matrix per thread: LAPACK decomposes several at once faster than one with all threads."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor


def in_parallel(function: Callable[[Tensor], Tensor], parts: Sequence[Tensor]) -> list[Tensor]:
    """`function` of each part, in order; on a CPU with torch's number of threads, one for each.

    An error in one part is raised here. Elsewhere, and in a single thread, one after the other.
    """
    threads = torch.get_num_threads()
    if min(threads, len(parts)) < 2 or parts[0].device.type != "cpu":
        return [function(part) for part in parts]
    with_graph = torch.is_grad_enabled()

    def run(part: Tensor) -> Tensor:
        with torch.set_grad_enabled(with_graph):
            return function(part)

    try:
        with ThreadPoolExecutor(threads, "relaxeq", torch.set_num_threads, (1,)) as pool:
            return list(pool.map(run, parts))
    finally:
        torch.set_num_threads(threads)  # a thread that sets its own changes that of later ones
