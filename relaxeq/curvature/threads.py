"""One matrix per thread: LAPACK decomposes several at once faster than one with all threads."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from threading import Lock

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor

_one_at_a_time = Lock()


def workers(matrices: Tensor) -> int:
    """Threads that take parts of such matrices: torch's on a CPU, else one, as for gradients."""
    return torch.get_num_threads() if _is_plain(matrices) else 1


def in_parallel(function: Callable[[Tensor], Tensor], parts: Sequence[Tensor]) -> list[Tensor]:
    """`function` of each part, in order; on a CPU in torch's number of threads, one for each part.

    NumPy takes no more than one thread meanwhile. An error in one part is raised here. Elsewhere,
    and with gradients, one part follows the other.
    """
    if not parts or not _is_plain(parts[0]):
        return [function(part) for part in parts]
    threads = min(workers(parts[0]), len(parts))
    # Without the lock, two callers could leave NumPy with one thread for good.
    with _one_at_a_time, _pools().limit(limits=1, user_api="blas"):
        if threads == 1:
            return [function(part) for part in parts]
        with ThreadPoolExecutor(threads, "relaxeq") as pool:
            return list(pool.map(function, parts))


def symmetric_eigenvalues(matrices: Tensor) -> Tensor:
    """Eigenvalues (…, n) of symmetric matrices (…, n, n), ascending.

    On a CPU by NumPy's LAPACK: timed by hand on processors of AMD, torch's (MKL) takes 1.5 times as
    long for 1024×1024, and about as long for small ones.
    """
    if not _is_plain(matrices):
        found: Tensor = torch.linalg.eigvalsh(matrices)
        return found
    return torch.from_numpy(np.linalg.eigvalsh(matrices.numpy()))


def _is_plain(matrices: Tensor) -> bool:
    return matrices.device.type == "cpu" and not matrices.requires_grad


@lru_cache(maxsize=1)
def _pools() -> ThreadpoolController:
    """The libraries that have threads of their own; they take a while to be found."""
    return ThreadpoolController()
