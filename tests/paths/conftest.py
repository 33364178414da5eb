"""Shape checks switched off for error messages, and a small network around a path."""

from collections.abc import Callable, Iterator

import pytest
import torch
from jaxtyping import config
from torch import Tensor, nn

from relaxeq.paths import Path


class Around(nn.Module):
    """A path between others, so that its curvature has the inputs and gradients of depth."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.into = nn.Linear(3, torch.Size(path.in_shape).numel())
        self.path = path
        self.out = nn.Linear(torch.Size(path.out_shape).numel(), 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.into(x)).view(len(x), *self.path.in_shape)
        found: Tensor = self.out(torch.tanh(self.path(hidden)).flatten(1))
        return found


@pytest.fixture
def around() -> Callable[[Path], nn.Module]:
    """around(path) is a classifier of 3 features into 3 classes through the path."""
    return Around


@pytest.fixture
def batches(float64: None) -> list[tuple[Tensor, Tensor]]:
    """Two batches of four random data for it, in double precision."""
    return [(torch.randn(4, 3), torch.tensor([0, 1, 2, 1])) for _ in range(2)]


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Switch the shape checks off for one test: wrong arguments must reach our own errors."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
