"""Networks of every kind go through fit: relaxed, plain, mixed, frozen in part, in any dtype."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from relaxeq import Field, RelaxedLayer, deterministic, groups
from relaxeq.errors import EvidenceWarning
from relaxeq.likelihoods import Gaussian
from relaxeq.models import PaperNet
from relaxeq.recipe import FitResult, Options, fit

MakeOptions = Callable[..., Options]
Z2, P4 = groups.Z2(), groups.semidirect(groups.Z2(), groups.p4())


def relaxed(source: Field, channels: int, spec: str, stride: int = 1) -> RelaxedLayer:
    size = (source.size[0] // stride, source.size[1] // stride)
    return RelaxedLayer(source, Field(source.group, channels, size), spec, stride=stride)


def image(size: int, channels: int = 1, group: groups.PlanarGroup = Z2) -> Field:
    return Field(group, channels, (size, size), rep="trivial")


def conv_between() -> nn.Sequential:
    first = relaxed(image(4), 2, "F-FC+CONV")
    last = relaxed(image(4, 3), 2, "FC+CONV", stride=2)
    return nn.Sequential(
        first,
        nn.ReLU(),
        nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"),
        nn.Tanh(),
        last,
        nn.Flatten(),
        nn.Linear(8, 3),
    )


def conv_around() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding="same", bias=False),
        nn.ReLU(),
        relaxed(image(4, 2), 2, "CONV"),
        nn.ReLU(),
        nn.Conv2d(2, 2, 3, stride=2, groups=2),
        nn.Flatten(),
        nn.Linear(2, 3),
    )


def normalised() -> nn.Sequential:
    norm = nn.BatchNorm2d(2)
    deterministic(norm)
    body = (relaxed(image(4), 2, "CONV"), norm, nn.ReLU(), nn.Dropout(0.1))
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3))


def grouped() -> nn.Sequential:
    first = relaxed(image(4, 1, P4), 1, "F-FC+CONV+GCONV")
    return nn.Sequential(first, nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))


def plain() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.ReLU(), nn.Linear(4, 3))


NETWORKS: dict[str, Callable[[], nn.Sequential]] = {
    "conv between": conv_between,
    "conv around": conv_around,
    "normalised": normalised,
    "p4": grouped,
    "plain": plain,
}


def learn(net: nn.Module, size: int = 4, epochs: int = 12, **changes: Any) -> FitResult:
    """Brightest of three pixels, twelve images, with priors learned."""
    draws = torch.Generator().manual_seed(3)
    x = torch.randn(12, 1, size, size, generator=draws)
    y = x.flatten(1)[:, :3].argmax(1)
    dtype = next(net.parameters()).dtype
    x = x.to(dtype)
    options = Options(burn_in=4, update_every=2, lr=0.02, progress=False, **changes)
    return fit(net, [(x[:8], y[:8]), (x[8:], y[8:])], [(x, y)], epochs, options=options)


def check(result: FitResult, net: nn.Module) -> None:
    """It learned, every trained parameter is in a prior, and all numbers are finite."""
    assert result.history[-1]["train_nll"] < result.history[0]["train_nll"]
    assert math.isfinite(result.evidence)
    assert all(math.isfinite(prior.precision) for prior in result.priors)
    assert all(0 <= p.effective_parameters <= p.size for p in result.priors)
    assert any(prior.precision != 1.0 for prior in result.priors)
    assert 0 <= result.metrics["test_accuracy"] <= 1


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_mixed_networks_learn(make: Callable[[], nn.Sequential]) -> None:
    net = make()
    told = pytest.warns(EvidenceWarning, match="BatchNorm2d '1'")
    with told if make is normalised else nullcontext() as seen:
        result = learn(net)
    assert seen is None or len(seen) == 1  # once for all updates
    check(result, net)
    marked = sum(
        p.numel() for m in net.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters()
    )
    total = sum(parameter.numel() for parameter in net.parameters())
    assert sum(prior.size for prior in result.priors) == total - marked


@pytest.mark.parametrize("group", [None, P4])
def test_the_network_of_the_paper_learns(group: groups.PlanarGroup | None) -> None:
    spec = "F-FC+CONV" if group is None else "CONV+GCONV"
    net = PaperNet(spec, in_channels=1, classes=3, alpha=1, size=(8, 8), group=group)
    result = learn(net, size=8, epochs=6)
    check(result, net)
    names = {prior.name for prior in result.priors}
    assert {
        f"layers.{i}.paths.{n}" for i in range(len(net.layers)) for n in spec.split("+")
    } < names
    assert {"hidden.weight", "hidden.bias", "head.weight", "head.bias"} < names


def test_double_precision_stays_double() -> None:
    net = conv_between().double()
    check(learn(net), net)
    assert {parameter.dtype for parameter in net.parameters()} == {torch.float64}


def test_frozen_parameters_keep_their_bits_and_have_no_prior() -> None:
    net = conv_between()
    for name in ("0", "2"):
        net.get_submodule(name).requires_grad_(False)
    kept = {n: p.detach().clone() for n, p in net.named_parameters() if not p.requires_grad}
    result = learn(net)
    values = dict(net.named_parameters())
    assert all(torch.equal(values[name].detach(), before) for name, before in kept.items())
    assert [p.name for p in result.priors] == [
        "4.paths.FC", "4.paths.CONV", "4.bias", "6.weight", "6.bias",
    ]  # fmt: skip
    assert not any(parameter.grad is not None for parameter in values.values())


def test_a_bias_alone_can_be_trained() -> None:
    net = plain().requires_grad_(False)
    net[3].get_parameter("bias").requires_grad_(True)
    result = learn(net)
    assert [prior.name for prior in result.priors] == ["3.bias"]


def test_a_network_without_priors_has_its_likelihood_for_evidence() -> None:
    net = plain()
    deterministic(net)
    result = learn(net)
    assert result.priors == ()
    assert result.evidence == result.log_likelihood


@pytest.mark.parametrize("outputs", [1, 3])
def test_regression_learns_and_reports_its_error(outputs: int, options: MakeOptions) -> None:
    x = torch.randn(20, 1, 4, 4)
    y = x.flatten(1)[:, :outputs] * 0.5 + 1.0
    layer = relaxed(image(4), 1, "F-FC+CONV")
    net = nn.Sequential(layer, nn.Tanh(), nn.Flatten(), nn.Linear(16, outputs))
    likelihood = Gaussian(noise=0.3)
    result = fit(net, [(x, y)], [(x, y)], 30, options=options(likelihood=likelihood))
    density = torch.distributions.Normal(net(x).detach(), 0.3).log_prob(y).sum(1).mean()
    error = float((net(x).detach() - y).square().mean().sqrt())
    assert result.metrics == {
        "test_nll": pytest.approx(-float(density), rel=1e-4),
        "test_rmse": pytest.approx(error, rel=1e-4),
    }
    assert result.log_likelihood == pytest.approx(float(density), rel=1e-4)
    assert result.history[-1]["train_nll"] < result.history[0]["train_nll"]


def test_a_module_that_is_called_twice_learns_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.again = nn.Linear(16, 3), nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            hidden: Tensor = torch.tanh(self.again(torch.tanh(self.first(x.flatten(1)))))
            found: Tensor = self.again(hidden)
            return found

    net = Twice()
    check(learn(net), net)


def test_a_layer_that_is_not_used_is_an_error_that_names_it() -> None:
    net = plain()
    net.append(nn.Identity())
    net[4].register_module("spare", nn.Linear(2, 2))
    with pytest.raises(TypeError, match=r"parameter '4\.spare\.weight' never reached the loss"):
        learn(net)


def test_a_network_that_is_all_off_has_nothing_to_learn() -> None:
    layer = RelaxedLayer(image(4), image(4), "CONV", bias=False)
    layer.get_submodule("paths.CONV").prior_variance = 0.0  # type: ignore[assignment]
    with pytest.raises(
        TypeError, match=r"depends on no trained parameter.*positive prior_variance"
    ):
        learn(nn.Sequential(layer, nn.Flatten()))
