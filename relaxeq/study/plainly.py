"""Warnings of relaxeq on a terminal: one sentence, without the line of code."""

import sys
import warnings
from collections.abc import Callable
from typing import Any

from relaxeq.errors import EvidenceWarning


def warn_plainly() -> None:
    """From here on, show warnings about the evidence as a sentence without a line of code.

    Inside `warnings.catch_warnings()` the old way comes back at its end.
    """
    warnings.showwarning = _plainly(warnings.showwarning)


def _plainly(known: Callable[..., None]) -> Callable[..., None]:
    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, EvidenceWarning):
            print(f"Warning: {message}", file=sys.stderr, flush=True)
        else:
            known(message, category, *place, **more)

    return show
