"""Training that diverges stops with the layer's name; what was learned stays on disk."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from relaxeq.errors import NumericsError
from relaxeq.models import PaperNet
from relaxeq.paths import Path as WeightPath
from relaxeq.recipe import Options, fit
from relaxeq.recipe.checkpoint import RunFolder

Pair = tuple[Tensor, Tensor]
MakeOptions = Callable[..., Options]


class Poison(nn.Module):
    """The identity, until its output is NaN at training call number `death`."""

    def __init__(self, death: int) -> None:
        super().__init__()
        self.left = death

    def forward(self, x: Tensor) -> Tensor:
        self.left -= self.training
        return x * float("nan") if self.left < 0 else x


class Hooked(nn.Module):
    """The identity whose gradient turns into NaN at backward pass number `death`."""

    def __init__(self, death: int) -> None:
        super().__init__()
        self.left = death

    def forward(self, x: Tensor) -> Tensor:
        x = x * 1.0
        if x.requires_grad and self.training:
            x.register_hook(self.spoil)
        return x

    def spoil(self, gradient: Tensor) -> Tensor:
        self.left -= 1
        return gradient * float("nan") if self.left < 0 else gradient


def around(middle: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 3), middle, nn.Tanh(), nn.Linear(3, 2))


def stored(folder: Path) -> tuple[dict[str, Tensor], int]:
    loaded = RunFolder(folder).load()
    assert loaded is not None
    return loaded[0].network, len(loaded[1])


def test_a_loss_that_is_nan_names_the_module_and_leaves_the_last_epoch(
    points: Pair, options: MakeOptions, tmp_path: Path
) -> None:
    batches = [points, points]
    with pytest.raises(NumericsError, match=r"^the loss is nan; .* from '1'\. Lower lr") as caught:
        fit(around(Poison(7)), batches, epochs=6, options=options(), run_dir=tmp_path)
    assert "last checkpoint is kept" in str(caught.value)
    weights, epochs = stored(tmp_path)
    assert epochs == 3
    assert all(bool(torch.isfinite(value).all()) for value in weights.values())


def test_a_path_of_a_relaxed_layer_is_named(options: MakeOptions) -> None:
    net = PaperNet("F-FC+CONV", in_channels=1, classes=2, alpha=1, size=(8, 8))
    path = net.layers[1].get_submodule("paths.CONV")
    assert isinstance(path, WeightPath)
    nn.init.constant_(path.get_parameter("theta"), float("nan"))
    data = [(torch.randn(2, 1, 8, 8), torch.tensor([0, 1]))]
    with pytest.raises(NumericsError, match=r"comes from 'layers\.1\.paths\.CONV[.\w]*'"):
        fit(net, data, epochs=1, options=options())


def test_an_overflow_is_named_where_it_happens(points: Pair, options: MakeOptions) -> None:
    net = around(nn.Identity())
    nn.init.constant_(net[3].get_parameter("weight"), 3e38)
    with pytest.raises(NumericsError, match=r"the loss is (nan|inf); .* from '3'"):
        fit(net, [points], epochs=1, options=options())


def test_the_network_itself_is_named_where_none_of_its_modules_is_at_fault(
    points: Pair, options: MakeOptions
) -> None:
    class Net(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * (float("nan") if self.training else 1.0)

    with pytest.raises(NumericsError, match="comes from 'network'"):
        fit(Net(2, 2), [points], epochs=1, options=options())


def test_targets_that_overflow_the_loss_are_no_modules_fault(options: MakeOptions) -> None:
    data = [(torch.ones(2, 2), torch.full((2, 2), 1e30))]
    with pytest.raises(NumericsError, match="the loss is inf; .* from 'the loss itself'"):
        fit(nn.Linear(2, 2), data, epochs=1, options=options(likelihood="regression"))


@pytest.mark.parametrize("objective", ["map", "laplace"])
def test_weights_lost_in_the_last_step_of_an_epoch_do_not_reach_the_disk(
    objective: str, points: Pair, options: MakeOptions, tmp_path: Path
) -> None:
    net = around(Hooked(5))
    with pytest.raises(NumericsError, match=r"parameter '0\.weight' .* finite in epoch 3\. Lower"):
        fit(net, [points, points], None, 6, objective, options(), tmp_path)
    weights, epochs = stored(tmp_path)
    assert epochs == 2
    assert all(bool(torch.isfinite(value).all()) for value in weights.values())


def test_hooks_are_taken_away_again(points: Pair, options: MakeOptions) -> None:
    net = around(Poison(1))
    with pytest.raises(NumericsError):
        fit(net, [points], epochs=2, options=options())
    assert not any(module._forward_hooks for module in net.modules())


def test_curvature_that_is_not_finite_stops_too(points: Pair, options: MakeOptions) -> None:
    class Later(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if self.training or torch.is_inference_mode_enabled() else self.spoiled(x)

        def spoiled(self, x: Tensor) -> Tensor:
            return x * float("nan") if x.requires_grad else x

    with pytest.raises(NumericsError, match="NaN or infinite outputs"):
        fit(around(Later()), [points], epochs=3, options=options())
