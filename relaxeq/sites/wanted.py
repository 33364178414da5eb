"""Which gradients the backward passes of a forward pass are asked for."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import final


@final
class Wanted:
    """Whether backward passes must return gradients of weights, as they do unless told otherwise.

    torch leaves out what its own operations need not compute, but does not tell an
    `autograd.Function`, whose `needs_input_grad` stays as it was in the forward pass. So a function
    keeps `wanted()` there, and asks it in the backward pass, whichever thread that runs in.
    """

    def __init__(self) -> None:
        self.weights = True

    @contextmanager
    def activations_only(self) -> Iterator[None]:
        """While open, nobody asks for gradients of weights."""
        before, self.weights = self.weights, False
        try:
            yield
        finally:
            self.weights = before


class _Local(threading.local):
    def __init__(self) -> None:
        self.wanted = Wanted()


_here = _Local()


def wanted() -> Wanted:
    """Of what this thread computes now."""
    return _here.wanted


@contextmanager
def wanting() -> Iterator[Wanted]:
    """A Wanted of its own for what this thread computes while open."""
    before, _here.wanted = _here.wanted, Wanted()
    try:
        yield _here.wanted
    finally:
        _here.wanted = before
