"""Wrong arguments must reach the library's own errors, which users see without shape checks."""

from collections.abc import Iterator

import pytest
from jaxtyping import config


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Switch the shape checks off for one test of an error message."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
