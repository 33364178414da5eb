"""Bayesian linear regression: the Laplace evidence is exact, log N(y | 0, ΦΦᵀ/α + σ² I)."""

import pytest
import torch
from torch import nn

from relaxeq import Field, exact_ggn, groups, kfac
from relaxeq.evidence import MacKay, Term, log_marginal_likelihood
from relaxeq.likelihoods import Gaussian
from relaxeq.paths import FC, GroupConv
from relaxeq.sites import network_sites

pytestmark = pytest.mark.usefixtures("float64")
NOISE, ALPHA = 0.6, 2.5
Z2, P4 = groups.planar("Z2"), groups.planar("p4")


def conv(part):
    source, target = Field(P4, 1, (3, 3)), Field(P4, 1, (3, 3))
    return nn.Sequential(GroupConv(source, target, 3, P4.point_group.subgroup(part)), nn.Flatten())


def dense():
    return nn.Sequential(FC(Field(Z2, 1, (2, 2)), Field(Z2, 1, (1, 2))), nn.Flatten())


MODELS = {
    "linear": (lambda: nn.Linear(4, 1, bias=False), (4,)),
    "linear, three outputs": (lambda: nn.Linear(4, 3, bias=False), (4,)),
    "FC": (dense, (1, 2, 2)),
    "CONV": (lambda: conv([]), (4, 3, 3)),
    "GCONV": (lambda: conv([1]), (4, 3, 3)),
}


def design(net, x):
    """Φ with f = Φ θ, all outputs of all data in one column, by autograd on the linear model."""
    parameter = next(net.parameters())

    def outputs(theta):
        name = next(name for name, _ in net.named_parameters())
        return torch.func.functional_call(net, {name: theta}, (x,)).flatten()

    return torch.autograd.functional.jacobian(outputs, parameter.detach()).flatten(1)


def evidence(net, loader, curvature, alpha):
    (name,) = network_sites(net)
    matrix = curvature(net, loader, Gaussian(NOISE))[name]
    values = (
        torch.linalg.eigvalsh(matrix) if isinstance(matrix, torch.Tensor) else matrix.eigenvalues()
    )
    x, y = loader[0]
    fit = float(Gaussian(NOISE).log_likelihood(net(x).detach(), y))
    norm = float(net.get_parameter(name).detach().square().sum())
    return log_marginal_likelihood(fit, {name: Term(values, norm)}, {name: alpha})


@pytest.mark.parametrize("curvature", [exact_ggn, kfac])
@pytest.mark.parametrize("name", MODELS)
def test_evidence_of_linear_models_is_exact(name, curvature):
    build, shape = MODELS[name]
    net, x = build(), torch.randn(7, *shape)
    y = torch.randn_like(net(x))
    features = design(net, x)
    posterior = features.T @ features / NOISE**2 + ALPHA * torch.eye(features.shape[1])
    mode = torch.linalg.solve(posterior, features.T @ y.flatten() / NOISE**2)
    parameter = next(net.parameters())
    parameter.data = mode.view(parameter.shape)
    cover = features @ features.T / ALPHA + NOISE**2 * torch.eye(len(features))
    normal = torch.distributions.MultivariateNormal(torch.zeros(len(features)), cover)
    truth = float(normal.log_prob(y.flatten()))
    assert evidence(net, [(x, y)], curvature, ALPHA) == pytest.approx(truth, rel=1e-9)


def test_two_priors_whose_parameters_do_not_meet():
    """Weight and bias with centred inputs: H is block-diagonal, so two precisions are exact too."""
    x = torch.randn(9, 3)
    x -= x.mean(0)
    y, net = torch.randn(9, 1), nn.Linear(3, 1)
    alphas = {"weight": 0.4, "bias": 7.0}
    cover = x @ x.T / 0.4 + torch.ones(9, 9) / 7.0 + NOISE**2 * torch.eye(9)
    truth = torch.distributions.MultivariateNormal(torch.zeros(9), cover).log_prob(y[:, 0])
    precision = torch.eye(3) * 0.4 * NOISE**2
    net.weight.data = torch.linalg.solve(x.T @ x + precision, x.T @ y).T
    net.bias.data = y.sum(0) / (9 + 7.0 * NOISE**2)
    blocks = kfac(net, [(x, y)], Gaussian(NOISE))
    named = dict(net.named_parameters())
    terms = {
        k: Term(b.eigenvalues(), float(named[k].detach().square().sum())) for k, b in blocks.items()
    }
    fit = float(Gaussian(NOISE).log_likelihood(net(x).detach(), y))
    assert log_marginal_likelihood(fit, terms, alphas) == pytest.approx(float(truth), rel=1e-9)


def test_evidence_prefers_the_symmetry_that_the_data_have():
    """Targets of a convolution: at its best precision GCONV beats CONV; on free targets FC wins."""

    def best(part, x, y):
        net = conv(part)
        features = design(net, x)
        gram, cross = features.T @ features / NOISE**2, features.T @ y.flatten() / NOISE**2
        alpha = 1.0
        for _ in range(200):
            mode = torch.linalg.solve(gram + alpha * torch.eye(len(gram)), cross)
            term = Term(torch.linalg.eigvalsh(gram).clamp_min(0), float(mode @ mode))
            alpha = MacKay(1.0, 1).step({"a": term}, {"a": alpha}, {})[0]["a"]
        parameter = next(net.parameters())
        parameter.data = mode.view(parameter.shape)
        return evidence(net, [(x, y)], kfac, alpha)

    x = torch.randn(6, 4, 3, 3)
    for source, better, worse in (([1], [1], []), ([], [], [1])):
        truth = conv(source)
        nn.init.normal_(next(truth.parameters()))
        y = truth(x).detach()
        y += NOISE * torch.randn_like(y)
        assert best(better, x, y) > best(worse, x, y) + 5
