"""What every test shares: shape checks, seeds, float64, one thread and the Hypothesis profiles."""

import os
import random
import sys
from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Verbosity, settings
from jaxtyping import config, install_import_hook

# The hook rewrites modules as they are imported, so it must come before the first of them.
assert not any(name.split(".")[0] == "relaxeq" for name in sys.modules), "relaxeq came too early"
install_import_hook("relaxeq", "beartype.beartype")

collect_ignore = [] if find_spec("laplace") else ["peers"]  # make test-peers

torch.set_num_threads(1)  # sums in a fixed order, and quiet neighbours

SLOW_DRAWS = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "ci", max_examples=100, derandomize=True, deadline=None, suppress_health_check=SLOW_DRAWS
)
settings.register_profile(
    "quick", parent=settings.get_profile("ci"), max_examples=10, verbosity=Verbosity.normal
)
settings.register_profile(
    "thorough", parent=settings.get_profile("ci"), max_examples=2_000, derandomize=False
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(autouse=True)
def seed() -> int:
    """Seed Python, NumPy and torch before each test, so that order and selection change nothing."""
    value = 0
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)
    return value


@pytest.fixture
def float64() -> Iterator[torch.dtype]:
    """Make float64 the default dtype for one test."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield torch.float64
    torch.set_default_dtype(before)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Switch the checks of types and shapes off for one test: wrong arguments, which nobody checks
    for users, must reach the library's own errors."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
