"""ProximalAdam ends where the MAP estimate is, found here in closed form or by scipy."""

import math
from collections.abc import Callable

import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor, nn
from torch.nn import functional

from relaxeq import deterministic
from relaxeq.errors import SiteError, SpecError
from relaxeq.recipe.optimizer import ProximalAdam
from relaxeq.recipe.priors import prior_groups

pytestmark = pytest.mark.usefixtures("float64")

COUNT = 20
PRECISIONS = [1e-4, 1.0, 1e2, 1e5, 1e8, 1e12]


def descend(
    net: nn.Module,
    loss: Callable[[], Tensor],
    precisions: dict[str, float],
    steps: int = 300,
) -> list[float]:
    """Minimise with a cosine-annealed rate; the largest |weight| after each step."""
    optimizer = ProximalAdam(net, prior_groups(net), COUNT, lr=0.05)
    largest = []
    for step in range(steps):
        loss().backward()
        optimizer.step(0.025 * (1 + math.cos(math.pi * step / steps)), precisions)
        largest.append(max(float(p.detach().abs().max()) for p in net.parameters()))
    return largest


def regression() -> tuple[Tensor, Tensor]:
    return torch.randn(COUNT, 3), torch.randn(COUNT, 2)


@pytest.mark.parametrize("alpha", PRECISIONS)
def test_the_fixed_point_is_ridge_regression(alpha: float) -> None:
    x, y = regression()
    net = nn.Linear(3, 2, bias=False)
    descend(net, lambda: 0.5 * (net(x) - y).square().sum() / COUNT, {"weight": alpha})
    ridge = torch.linalg.solve(x.mT @ x + alpha * torch.eye(3), x.mT @ y).mT
    torch.testing.assert_close(net.weight.detach(), ridge, rtol=1e-4, atol=0)


@pytest.mark.parametrize("alphas", [(0.3, 10.0), (3.0, 1.0), (1e5, 0.5)])
def test_the_fixed_point_is_the_map_of_logistic_regression(alphas: tuple[float, float]) -> None:
    x, y = torch.randn(COUNT, 3), torch.randint(0, 3, (COUNT,))
    net = nn.Linear(3, 3)
    names = ("weight", "bias")
    descend(
        net,
        lambda: functional.cross_entropy(net(x), y),
        dict(zip(names, alphas, strict=True)),
        steps=1000,
    )

    def objective(flat: Tensor) -> Tensor:
        weight, bias = flat[:9].view(3, 3), flat[9:]
        nll = functional.cross_entropy(x @ weight.mT + bias, y, reduction="sum")
        return nll + 0.5 * (alphas[0] * weight.square().sum() + alphas[1] * bias.square().sum())

    def value_and_slope(flat: object) -> tuple[float, object]:
        point = torch.tensor(flat, requires_grad=True)
        value = objective(point)
        (slope,) = torch.autograd.grad(value, point)
        return float(value.detach()), slope.numpy()

    best = torch.tensor(minimize(value_and_slope, torch.zeros(12).numpy(), jac=True, tol=1e-12).x)
    found = torch.cat([net.weight.detach().flatten(), net.bias.detach()])
    torch.testing.assert_close(found, best, rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize("alpha", [1e6, 1e9, 1e12, 1e16])
def test_a_huge_precision_sends_weights_to_zero_at_once_and_for_good(alpha: float) -> None:
    x, y = regression()
    net = nn.Linear(3, 2, bias=False)
    first, *rest = descend(
        net, lambda: 0.5 * (net(x) - y).square().sum() / COUNT, {"weight": alpha}, steps=200
    )
    bound = 10 * float((x.mT @ y).abs().max()) / alpha
    assert first < 1e3 / alpha
    assert max(rest[5:]) < bound


def test_an_infinite_precision_gives_exact_zeros() -> None:
    x, y = regression()
    net = nn.Linear(3, 2, bias=False)
    descend(net, lambda: (net(x) - y).square().mean(), {"weight": math.inf}, steps=3)
    assert torch.equal(net.weight.detach(), torch.zeros(2, 3))


def test_deterministic_parameters_have_no_prior() -> None:
    x, y = regression()
    net = deterministic(nn.Linear(3, 2, bias=False))
    descend(net, lambda: 0.5 * (net(x) - y).square().sum() / COUNT, {})
    least_squares = torch.linalg.lstsq(x, y).solution.mT
    torch.testing.assert_close(net.get_parameter("weight").detach(), least_squares)


def test_precisions_meet_their_own_parameters() -> None:
    x, y = regression()
    net = nn.Linear(3, 2)
    descend(net, lambda: (net(x) - y).square().mean(), {"weight": 1e12, "bias": 1e-6})
    assert float(net.weight.detach().abs().max()) < 1e-9
    torch.testing.assert_close(net.bias.detach(), y.mean(0), rtol=1e-4, atol=1e-5)


def test_restored_state_continues_to_the_same_bits() -> None:
    x, y = regression()
    nets = [nn.Linear(3, 2) for _ in range(2)]
    precisions = {"weight": 2.0, "bias": 0.1}
    optimizers = [ProximalAdam(net, prior_groups(net), COUNT, lr=0.1) for net in nets]
    for step in range(10):
        if step == 5:
            nets[1].load_state_dict(nets[0].state_dict())
            optimizers[1].load(optimizers[0].state())
        for net, optimizer in zip(nets, optimizers, strict=True):
            (net(x) - y).square().mean().backward()
            optimizer.step(0.1, precisions)
    assert torch.equal(nets[0].weight, nets[1].weight)
    assert torch.equal(nets[0].bias, nets[1].bias)
    kinds = ("step", "exp_avg", "exp_avg_sq")
    assert set(optimizers[0].state()) == {f"{k}/{n}" for k in kinds for n in ("weight", "bias")}


def test_restored_state_is_a_copy() -> None:
    net = nn.Linear(3, 2)
    optimizer = ProximalAdam(net, prior_groups(net), COUNT, lr=0.1)
    net(torch.ones(1, 3)).sum().backward()
    optimizer.step(0.1, {"weight": 1.0, "bias": 1.0})
    other = ProximalAdam(net, prior_groups(net), COUNT, lr=0.1)
    kept = {name: value.clone() for name, value in optimizer.state().items()}
    other.load(kept)
    net(torch.ones(1, 3)).sum().backward()
    other.step(0.1, {"weight": 1.0, "bias": 1.0})
    assert all(torch.equal(kept[name], value) for name, value in optimizer.state().items())


def test_gradients_of_before_are_dropped() -> None:
    net = nn.Linear(3, 2)
    net(torch.ones(1, 3)).sum().backward()
    ProximalAdam(net, prior_groups(net), COUNT, lr=0.1)
    assert net.weight.grad is None
    assert net.bias.grad is None


def test_a_weight_that_no_loss_reaches_is_named() -> None:
    net = nn.ModuleDict({"used": nn.Linear(3, 2), "idle": nn.Linear(3, 2)})
    optimizer = ProximalAdam(net, prior_groups(net), COUNT, lr=0.1)
    precisions = {f"{part}.{own}": 1.0 for part in net for own in ("weight", "bias")}
    net["used"](torch.ones(1, 3)).sum().backward()
    optimizer.step(0.1, precisions)
    with pytest.raises(SiteError, match=r"parameter 'idle\.weight' never reached the loss"):
        optimizer.check_reached(precisions)
    optimizer.check_reached(precisions | {"idle.weight": math.inf, "idle.bias": math.inf})


def test_a_network_without_trained_parameters_is_refused() -> None:
    net = nn.Linear(3, 2).requires_grad_(False)
    with pytest.raises(SpecError, match=r"no parameter that requires grad.*requires_grad_\(\)"):
        ProximalAdam(net, (), COUNT, lr=0.1)
