"""Which gradients a backward pass is asked for."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_local = threading.local()


@contextmanager
def activations_only() -> Iterator[None]:
    """While open, nobody asks this thread's backward passes for gradients of weights.

    torch leaves out what its own operations need not compute, but does not tell an
    `autograd.Function`, whose `needs_input_grad` stays as it was in the forward pass. Other threads
    may train meanwhile. So backward passes on a GPU, which run in threads of torch's own, compute
    such gradients in vain.
    """
    before = weights_are_wanted()
    _local.weights = False
    try:
        yield
    finally:
        _local.weights = before


def weights_are_wanted() -> bool:
    """Whether an `autograd.Function` must return gradients of weights."""
    wanted: bool = getattr(_local, "weights", True)
    return wanted
