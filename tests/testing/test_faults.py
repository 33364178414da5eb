"""Real faults, each as a small module inside a network that is right elsewhere: found and named."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import relaxeq as rq
from relaxeq import groups
from relaxeq.errors import EquivarianceError
from relaxeq.layers import polyphase
from relaxeq.testing import assert_equivariant, equivariance_error

P4 = groups.planar("p4")
Z2 = groups.Z2()


def circular(channels_in: int, channels_out: int, kernel: int = 3) -> nn.Conv2d:
    """A convolution without fault under shifts, and under p4 where it is 1×1."""
    padding = kernel // 2
    return nn.Conv2d(channels_in, channels_out, kernel, padding=padding, padding_mode="circular")


class ZeroPadding(nn.Conv2d):
    def __init__(self) -> None:
        super().__init__(2, 2, 3, padding=1)


class Strided(nn.Conv2d):
    def __init__(self) -> None:
        super().__init__(2, 2, 3, stride=2, padding=1, padding_mode="circular")


class Pooled(nn.MaxPool2d):
    def __init__(self) -> None:
        super().__init__(2)


class SparseConv(nn.Module):
    """Trap 4: a weight made of fewer parameters, whose convolution forgets padding_mode."""

    def __init__(self) -> None:
        super().__init__()
        self.u = nn.Parameter(torch.randn(2, 2, 4))
        self.register_buffer("phi", torch.randn(4, 9))
        self.padding_mode = "circular"

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, (self.u @ self.phi).view(2, 2, 3, 3), padding=1)


class PixelBias(nn.Module):
    """Trap 5: a bias for each position, which σ² = 0 of the paths leaves in place."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.randn(2, size, size))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


class BatchPolyphase(nn.Module):
    """Trap 2: one phase for the whole batch, by the largest value of all its data."""

    def forward(self, x: Tensor) -> Tensor:
        phases = [x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]
        return max(phases, key=lambda phase: float(phase.detach().abs().max()))


class PhasePerPath(nn.Module):
    """Trap 3: each path chooses a phase of its own before they are summed."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = circular(2, 2), circular(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return polyphase(self.first(x)) + polyphase(self.second(x))


class Lift(nn.Module):
    """Rotated copies of the input, each in its own frame: right by itself."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([torch.rot90(x, k, (-2, -1)) for k in range(4)], 2).flatten(1, 2)


class OwnFrameConv(nn.Module):
    """The same convolution in each frame: right for rotated copies."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = circular(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        sheets = x.unflatten(1, (2, 4)).unbind(2)
        return torch.stack([self.conv(sheet) for sheet in sheets], 2).flatten(1, 2)


class FrameMixing(nn.Module):
    """Trap 1: frames that are turned against each other, summed at equal pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, 2, 4))

    def forward(self, x: Tensor) -> Tensor:
        sheets = x.unflatten(1, (2, 4))
        turned = torch.stack([self.weight.roll(k, 2) for k in range(4)], 2)  # (o, c, k, m)
        return torch.einsum("ockm,ncmhw->nokhw", turned, sheets).flatten(1, 2)


class MeanOverGrid(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.relu().mean((2, 3)).unflatten(1, (2, -1)).amax(2)


class OnlyAffine(nn.BatchNorm2d):
    """Scale and shift that differ between the orientations of a channel."""

    def __init__(self) -> None:
        super().__init__(8)
        nn.init.normal_(self.weight)
        nn.init.normal_(self.bias)


def translated(fault: nn.Module) -> nn.Module:
    return nn.Sequential(circular(2, 2), nn.ReLU(), fault, nn.ReLU(inplace=True), circular(2, 2))


def turned(fault: nn.Module) -> nn.Module:
    field = rq.Field(P4, 2, (6, 6))
    image = rq.Field(P4, 2, (6, 6), rep="trivial")
    lift = rq.RelaxedLayer(image, field, "GCONV")
    return nn.Sequential(lift, nn.ReLU(), fault, nn.ReLU(), MeanOverGrid())


FAULTS: dict[str, tuple[Callable[[], nn.Module], int, groups.PlanarGroup, str, str]] = {
    "zero padding": (lambda: translated(ZeroPadding()), 6, Z2, "2", "padding_mode='circular'"),
    "strided convolution": (lambda: translated(Strided()), 6, Z2, "2", "polyphase"),
    "pooling an even grid": (lambda: translated(Pooled()), 6, Z2, "2", "polyphase"),
    "pooling an odd grid": (lambda: translated(Pooled()), 5, Z2, "2", "polyphase"),
    "batch-dependent polyphase": (lambda: translated(BatchPolyphase()), 6, Z2, "2", ""),
    "a phase per path": (lambda: translated(PhasePerPath()), 6, Z2, "2", ""),
    "dropped padding": (lambda: translated(SparseConv()), 6, Z2, "2", ""),
    "position-dependent bias": (lambda: translated(PixelBias(6)), 6, Z2, "2", ""),
    "pixel-wise layer norm": (
        lambda: translated(nn.LayerNorm([2, 6, 6])).apply(perturbed),
        6,
        Z2,
        "2",
        "equal over all positions",
    ),
    "rotating frames mixed": (
        lambda: nn.Sequential(Lift(), OwnFrameConv(), nn.ReLU(), FrameMixing(), MeanOverGrid()),
        6,
        P4,
        "3",
        "",
    ),
    "free filters on orientations": (lambda: turned(circular(8, 8, 1)), 6, P4, "2", "GCONV"),
    "norm per orientation": (lambda: turned(OnlyAffine()), 6, P4, "2", "orientations"),
    "zero padding under p4": (lambda: turned(nn.Conv2d(8, 8, 3, padding=1)), 6, P4, "2", "padding"),
}


def perturbed(module: nn.Module) -> None:
    if isinstance(module, nn.LayerNorm):
        nn.init.normal_(module.weight)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_and_named(name: str) -> None:
    build, size, group, culprit, advice = FAULTS[name]
    network = build().double()
    field = rq.Field(group, 2, (size, size), rep="trivial")
    out = None if group == P4 else _target(network, field)
    report = equivariance_error(network, field, out)
    assert float(report) > 1e-3
    assert report.fault == culprit
    assert report.culprit is not None
    assert report.culprit.worst.error > 1e-3
    assert advice in report.verdict
    with pytest.raises(EquivarianceError, match=rf"First module at fault: '{culprit}'"):
        assert_equivariant(network, field, out)


@pytest.mark.parametrize("name", FAULTS)
def test_the_modules_before_the_fault_are_cleared(name: str) -> None:
    build, size, group, culprit, _ = FAULTS[name]
    network = build().double()
    field = rq.Field(group, 2, (size, size), rep="trivial")
    report = equivariance_error(network, field, None if group == P4 else _target(network, field))
    before = [entry for entry in report.modules if entry.name < culprit and "." not in entry.name]
    assert before
    assert all(entry.worst.error < 1e-10 for entry in before)


@pytest.mark.parametrize("good", [nn.Identity, lambda: circular(2, 2), lambda: nn.BatchNorm2d(2)])
def test_without_a_fault_the_same_networks_pass(good: Callable[[], nn.Module]) -> None:
    field = rq.Field(Z2, 2, (6, 6), rep="trivial")
    assert_equivariant(translated(good()).double(), field, field)


def test_rotated_frames_pass_where_they_are_not_mixed() -> None:
    network = nn.Sequential(Lift(), OwnFrameConv(), nn.ReLU(), OwnFrameConv(), MeanOverGrid())
    assert_equivariant(network.double(), rq.Field(P4, 2, (6, 6), rep="trivial"))


def test_a_phase_per_datum_on_the_sum_passes() -> None:
    class OnePhase(PhasePerPath):
        def forward(self, x: Tensor) -> Tensor:
            return polyphase(self.first(x) + self.second(x))

    field = rq.Field(Z2, 2, (6, 6), rep="trivial")
    assert_equivariant(translated(OnePhase()).double(), field, field.resized((3, 3)))


def _target(network: nn.Module, field: rq.Field) -> rq.Field:
    shape = network(field.random(1, dtype=torch.float64)).shape
    return rq.Field(field.group, shape[1], tuple(shape[2:]), rep="trivial")
