"""exact_ggn against Σ JᵀΛJ with Jacobians by torch.func and Hessians of the log likelihood."""

import math

import pytest
import torch
from torch import nn
from torch.func import functional_call, jacrev

from relaxeq import Field, RelaxedLayer, deterministic, exact_ggn, groups
from relaxeq.errors import SpecError
from relaxeq.likelihoods import Gaussian

pytestmark = pytest.mark.usefixtures("float64")


def relaxed():
    z2 = groups.planar("Z2")
    layer = RelaxedLayer(Field(z2, 1, (2, 2)), Field(z2, 2, (1, 1)), "F-FC+CONV", stride=2)
    return nn.Sequential(layer, nn.Tanh(), nn.Flatten(), nn.Linear(2, 3))


NETWORKS = {
    "mlp": (lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)), (3,)),
    "convolutions": (
        lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)),
        (1, 3, 3),
    ),
    "relaxed, stride 2": (relaxed, (1, 2, 2)),
}


def classification_loss(f, y):
    return f.exp().sum().log() - f[y]


def gaussian_loss(f, y):
    return ((f - y) ** 2).sum() / (2 * 0.4**2)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_matches_torch_func(name, task):
    build, shape = NETWORKS[name]
    net, x = build(), torch.randn(4, *shape)
    if task == "classification":
        y, likelihood, loss = torch.tensor([0, 2, 1, 1]), "classification", classification_loss
    else:
        y, likelihood, loss = torch.randn(4, 3), Gaussian(0.4), gaussian_loss
    parameters = {k: v.detach() for k, v in net.named_parameters()}
    truth = {k: torch.zeros(v.numel(), v.numel()) for k, v in parameters.items()}
    for datum, target in zip(x, y, strict=True):

        def outputs(values, datum=datum):
            return functional_call(net, values, (datum[None],))[0]

        curvature = jacrev(jacrev(loss))(outputs(parameters), target)
        for key, jac in jacrev(outputs)(parameters).items():
            truth[key] += jac.flatten(1).T @ curvature @ jac.flatten(1)
    found = exact_ggn(net, [(x[:1], y[:1]), (x[1:], y[1:])], likelihood)
    assert found.keys() == truth.keys()
    for key, matrix in truth.items():
        torch.testing.assert_close(found[key], matrix)


def test_regression_is_the_gaussian_of_unit_noise():
    net, x, y = nn.Linear(3, 2), torch.randn(4, 3), torch.randn(4, 2)
    found = exact_ggn(net, [(x, y)], "regression")["weight"]
    torch.testing.assert_close(found, torch.kron(torch.eye(2), x.T @ x))


def test_frozen_parameters_are_left_out():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[0].weight.requires_grad_(False)
    assert exact_ggn(net, [(torch.randn(2, 2), torch.tensor([0, 1]))]).keys() == {
        "0.bias",
        "1.weight",
        "1.bias",
    }


def test_needs_no_site():
    """The truth knows no sites: it also answers for what has none, or is deterministic."""
    net = nn.Sequential(nn.LayerNorm(3), deterministic(nn.Linear(3, 2)))
    found = exact_ggn(net, [(torch.randn(2, 3), torch.tensor([0, 1]))])
    assert found.keys() == {"0.weight", "0.bias", "1.weight", "1.bias"}


def test_large_parameters_are_refused():
    net = nn.Linear(200, 101)
    with pytest.raises(SpecError, match="'weight' has 20200 entries.*at most 20000.*Use kfac"):
        exact_ggn(net, [(torch.randn(1, 200), torch.tensor([0]))])


def test_summed_over_data_not_averaged():
    net, x, y = nn.Linear(2, 2), torch.randn(1, 2), torch.tensor([1])
    once = exact_ggn(net, [(x, y)])["weight"]
    thrice = exact_ggn(net, [(x, y)] * 3)["weight"]
    torch.testing.assert_close(thrice, 3 * once)
    assert math.isfinite(float(once.sum()))


def test_a_network_may_write_into_its_input():
    class Scaling(nn.Linear):
        def forward(self, x):
            return super().forward(x.sub_(0.5).div_(0.5))

    net, x, y = Scaling(2, 3), torch.randn(4, 2), torch.tensor([0, 1, 2, 2])
    truth = exact_ggn(nn.Sequential(net), [(x.clone(), y)])["0.weight"]
    rows = torch.stack([torch.kron(torch.eye(3), (2 * d - 1)[None]) for d in x])
    p = net(x.clone()).detach().softmax(1)
    hessian = p.diag_embed() - p[:, :, None] * p[:, None]
    torch.testing.assert_close(truth, (rows.mT @ hessian @ rows).sum(0))


def test_a_network_without_trained_parameters_has_no_blocks():
    assert exact_ggn(nn.Flatten(), [(torch.randn(4, 3), torch.arange(4) % 3)]) == {}
