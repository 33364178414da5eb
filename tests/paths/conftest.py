"""A small network around a path, and what its sites see."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from relaxeq.paths import Path
from relaxeq.sites import listening


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


Recorded = tuple[Tensor, dict[str, tuple[Tensor, Tensor]]]


@pytest.fixture
def recorded() -> Callable[[Path, Tensor], Recorded]:
    """recorded(path, x) is y, and the input and output of every site on the way."""

    def run(path: Path, x: Tensor) -> Recorded:
        calls: dict[str, tuple[Tensor, Tensor]] = {}
        with listening(lambda module, name, a, z: calls.setdefault(name, (a, z))):
            y: Tensor = path(x)
        return y, calls

    return run
