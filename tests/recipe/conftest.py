"""Small data and networks, and short runs of them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from relaxeq import Field, RelaxedLayer, groups
from relaxeq.evidence import MacKay
from relaxeq.recipe import FitResult, Options, fit

Pair = tuple[Tensor, Tensor]


@pytest.fixture
def options() -> Callable[..., Options]:
    """Options of short, silent runs."""

    def make(**changes: object) -> Options:
        short: dict[str, object] = {"burn_in": 2, "update_every": 2, "evaluate_every": 3}
        plain = {"lr": 0.05, "update": MacKay(), "progress": False}
        return Options(**(short | plain | changes))  # type: ignore[arg-type]

    return make


@pytest.fixture
def points() -> Pair:
    """Thirty points of the plane, in two classes that a line separates but for some noise."""
    draws = torch.Generator().manual_seed(5)
    x = torch.randn(30, 2, generator=draws)
    return x, (x[:, 0] + 0.5 * torch.randn(30, generator=draws) > 0).long()


@pytest.fixture
def images() -> Pair:
    """Thirty 2×2 images of one channel, in three classes by their brightest of three pixels."""
    draws = torch.Generator().manual_seed(6)
    x = torch.randn(30, 1, 2, 2, generator=draws)
    return x, x.flatten(1)[:, :3].argmax(1)


@pytest.fixture
def line() -> Callable[[], nn.Linear]:
    """Make the same linear classifier again and again."""

    def make() -> nn.Linear:
        torch.manual_seed(1)
        return nn.Linear(2, 2)

    return make


@pytest.fixture
def mixed() -> Callable[[], nn.Sequential]:
    """Make the same network of a relaxed layer, dropout and a linear layer again and again."""

    def make(spec: str = "F-FC+CONV") -> nn.Sequential:
        torch.manual_seed(2)
        source = Field(groups.Z2(), 1, (2, 2), rep="trivial")
        layer = RelaxedLayer(source, Field(groups.Z2(), 2, (2, 2)), spec)
        return nn.Sequential(layer, nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(8, 3))

    return make


@pytest.fixture
def run(
    points: Pair, line: Callable[[], nn.Linear], options: Callable[..., Options]
) -> Callable[..., FitResult]:
    """Fit the line in a folder, in short, with changes to the arguments of `fit`."""

    def start(run_dir: object, **changes: Any) -> FitResult:
        given: dict[str, Any] = {"net": line(), "train_loader": [points], "epochs": 4}
        given |= {"options": options(), "run_dir": run_dir} | changes
        return fit(**given)

    return start
