"""Taps: where a layer shows the input and output of a site to whoever listens."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn

Listener = Callable[[nn.Module, str, Tensor, Tensor], None]


class _Local(threading.local):
    """Listeners hear their own thread alone: others may train or predict meanwhile."""

    def __init__(self) -> None:
        self.listeners: list[Listener] = []


_here = _Local()


def tap(module: nn.Module, name: str, x: Tensor, z: Tensor) -> Tensor:
    """Show that `module.name` turned x into z, and return z, which the layer must use further.

    Call it in `forward`, once for every use of the parameter. It costs nothing unless a curvature
    is being collected.
    """
    for listener in _here.listeners:
        listener(module, name, x, z)
    return z


def is_listening() -> bool:
    """Whether a curvature is being collected: a tap that costs something asks first."""
    return bool(_here.listeners)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send every tap of this thread to `listener` while open; compiled modules run as written."""
    _here.listeners.append(listener)
    try:
        with _as_written():
            yield
    finally:
        _here.listeners.remove(listener)


def _as_written() -> AbstractContextManager[object]:
    # torch's compiler takes a second to import; where it is not, nothing is compiled.
    if "torch._dynamo" not in sys.modules:
        return nullcontext()
    stance: AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
    return stance
