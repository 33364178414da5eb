"""Which gradients a backward pass is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager

_passes: list[object] = []


@contextmanager
def activations_only() -> Iterator[None]:
    """While open, nobody asks backward passes for gradients of weights.

    torch leaves out what its own operations need not compute, but does not tell an
    `autograd.Function`, whose `needs_input_grad` stays as it was in the forward pass.
    """
    _passes.append(None)
    try:
        yield
    finally:
        _passes.pop()


def weights_are_wanted() -> bool:
    """Whether an `autograd.Function` must return gradients of weights."""
    return not _passes
