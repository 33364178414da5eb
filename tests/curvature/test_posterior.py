"""The Laplace posterior against dense inverses and brute-force Jacobians."""

import math

import pytest
import torch
from torch import nn

from relaxeq import Field, RelaxedLayer, groups
from relaxeq.curvature import FLAVOURS, Pass, Posterior, estimate
from relaxeq.errors import SpecError

pytestmark = pytest.mark.usefixtures("float64")


def network():
    field = Field(groups.Z2(), 2, (2, 2))
    return nn.Sequential(RelaxedLayer(field, field), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3))


def posterior_of(flavour):
    net, x = network(), torch.randn(7, 2, 2, 2)
    found = estimate(net, [(x, torch.randint(0, 3, (7,)))], Pass(), flavour)
    precisions = {name: 0.5 + i for i, name in enumerate(found.blocks)}
    return Posterior(net, found.blocks, precisions)


def dense_inverse(posterior, name):
    block = posterior.blocks[name].dense()
    return torch.linalg.inv(block + posterior.precisions[name] * torch.eye(len(block)))


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_covariance_equals_brute_force_jacobians_and_dense_inverses(flavour):
    posterior = posterior_of(flavour)
    x = torch.randn(4, 2, 2, 2)
    outputs, covariance = posterior.covariance(x)
    assert torch.allclose(outputs, posterior.net(x))
    for n in range(len(x)):
        expected = torch.zeros(3, 3)
        for name, parameter in posterior.net.named_parameters():
            rows = [
                torch.autograd.grad(posterior.net(x[n : n + 1])[0, k], parameter)[0].flatten()
                for k in range(3)
            ]
            jacobian = torch.stack(rows)
            expected += jacobian @ dense_inverse(posterior, name) @ jacobian.mT
        assert torch.allclose(covariance[n], expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_sampled_weights_have_the_posterior_covariance_and_are_put_back(flavour):
    posterior = posterior_of(flavour)
    before = {name: p.detach().clone() for name, p in posterior.net.named_parameters()}
    name = "0.paths.F-FC.theta1"
    draws = []
    generator = torch.Generator().manual_seed(0)
    for _ in range(1000):
        with posterior.sampled(generator) as net:
            draws.append((net.get_parameter(name) - before[name]).detach().flatten())
    found = torch.cov(torch.stack(draws).mT)
    truth = dense_inverse(posterior, name)
    assert (found - truth).norm() / truth.norm() < 0.2
    for key, parameter in posterior.net.named_parameters():
        assert torch.equal(parameter, before[key])


def test_a_parameter_with_infinite_precision_has_no_variance():
    posterior = posterior_of("kfac")
    fixed = Posterior(
        posterior.net, posterior.blocks, dict.fromkeys(posterior.precisions, math.inf)
    )
    _, covariance = fixed.covariance(torch.randn(2, 2, 2, 2))
    assert torch.equal(covariance, torch.zeros(2, 3, 3))
    before = [p.detach().clone() for p in fixed.net.parameters()]
    with fixed.sampled() as net:
        assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("temperature", [0.01, 1.0, 3.0])
def test_temperature_multiplies_the_covariance(flavour, temperature):
    posterior = posterior_of(flavour)
    x = torch.randn(4, 2, 2, 2)
    outputs, covariance = posterior.covariance(x)
    found = posterior.tempered(temperature).covariance(x)
    torch.testing.assert_close(found, (outputs, temperature * covariance))
    steps = []
    for each in (posterior, posterior.tempered(temperature)):
        with each.sampled(torch.Generator().manual_seed(1)) as net:
            steps.append(net[3].weight.detach().clone())
        steps[-1] -= posterior.net[3].weight.detach()
    torch.testing.assert_close(steps[1], temperature**0.5 * steps[0])


def test_parameters_frozen_while_weights_are_drawn_are_put_back_too():
    posterior = posterior_of("kfac")
    before = {name: p.detach().clone() for name, p in posterior.net.named_parameters()}
    with posterior.sampled() as net:
        net.requires_grad_(False)
        assert not torch.equal(net[3].weight, before["3.weight"])
    for name, parameter in posterior.net.named_parameters():
        assert torch.equal(parameter, before[name])


@pytest.mark.parametrize("bad", [0.0, -5.0, math.nan])
def test_precisions_that_are_none(bad):
    found = posterior_of("kfac")
    with pytest.raises(SpecError, match=rf"precisions\['3.bias'\]={bad} must be positive"):
        Posterior(found.net, found.blocks, {**found.precisions, "3.bias": bad})


@pytest.mark.parametrize("part", ["blocks", "precisions"])
def test_every_trained_parameter_needs_a_block_and_a_precision(part):
    found = posterior_of("kfac")
    given = {"blocks": dict(found.blocks), "precisions": dict(found.precisions)}
    del given[part]["3.bias"]
    with pytest.raises(SpecError, match=f"{part} lacks '3.bias': give one per trained parameter"):
        Posterior(found.net, **given)
    found.net[3].bias.requires_grad_(False)
    Posterior(found.net, **given)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_temperatures_that_are_none(temperature):
    with pytest.raises(SpecError, match=r"temperature=.* must be positive and finite; 1 changes"):
        posterior_of("kfac").tempered(temperature)
