"""The one place that touches escnn: loaded at first use, quietly."""

import importlib
import warnings
from functools import cache
from types import ModuleType


@cache
def load() -> ModuleType:
    """`escnn.group`. It takes seconds to import, so it waits until somebody asks for irreps."""
    with warnings.catch_warnings():
        # Notes that py3nj, pymanopt and autograd are missing: escnn does without them, slower.
        warnings.simplefilter("ignore")
        return importlib.import_module("escnn.group")
