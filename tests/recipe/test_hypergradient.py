"""The gradient of the evidence by hyperparameters, against differences of the evidence itself."""

import math

import pytest
import torch
from torch import nn

import relaxeq as rq
from relaxeq import deterministic, groups
from relaxeq.curvature import Pass, estimate
from relaxeq.errors import DataError, NumericsError, SpecError
from relaxeq.evidence import log_marginal_likelihood
from relaxeq.fields import Field
from relaxeq.likelihoods import likelihood_from
from relaxeq.paths import Sparse
from relaxeq.recipe import evidence_gradient, prior_groups
from relaxeq.recipe.priors import terms_of

Z2 = groups.Z2()
P4 = groups.semidirect(Z2, groups.p4())
STEP = 1e-5


def network(spec="S-FC+S-CONV", planar=Z2, classes=3, **options):
    """Two sparse layers with a halved grid between, so that factors depend on earlier ω."""
    torch.manual_seed(1)
    chosen = Sparse(**({"learn_omega": True, "omega": 0.6} | options))
    fields = [Field(planar, c, (n, n)) for c, n in ((1, 4), (2, 2), (2, 2))]
    first = rq.RelaxedLayer(fields[0], fields[1], spec, stride=2, prior=chosen)
    second = rq.RelaxedLayer(fields[1], fields[2], spec, prior=chosen)
    head = nn.Linear(fields[2].dim, classes)
    with torch.no_grad():  # off the design, whose symmetry makes slopes vanish
        for name, parameter in [*first.named_parameters(), *second.named_parameters()]:
            if name.rpartition(".")[2] in ("z", "z1", "z2"):
                parameter.add_(0.2 * torch.randn_like(parameter))
    return nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), nn.Flatten(), head)


def data(net, likelihood="classification"):
    generator = torch.Generator().manual_seed(2)
    x = net[0].source.random(7, generator, torch.float64)
    y = torch.arange(7) % 3 if likelihood == "classification" else torch.randn(7, 3)
    return [(x[:4], y[:4]), (x[4:], y[4:])]


def evidence(net, loader, likelihood="classification", precisions=None):
    """Eq. 9 with the exact-Fisher KFAC of the whole network, in nats."""
    found = prior_groups(net)
    alphas = {group.name: group.precision for group in found} | (precisions or {})
    now = estimate(net.eval(), loader, Pass(likelihood_from(likelihood)))
    return log_marginal_likelihood(now.log_likelihood, terms_of(net, found, now.blocks), alphas)


@torch.no_grad()
def differences(net, loader, parameter, *more):
    """Central differences of the evidence by every entry."""
    found, flat = torch.zeros_like(parameter), parameter.view(-1)
    for k, value in enumerate(flat.tolist()):
        sides = []
        for step in (STEP, -STEP):
            flat[k] = value + step
            sides.append(evidence(net, loader, *more))
        flat[k] = value
        found.view(-1)[k] = (sides[0] - sides[1]) / (2 * STEP)
    return found


CASES = {
    "one ω per path": {},
    "an ω per pair": {"per_pair": True},
    "regression weights": {"basis": "interpolating"},
    "learned anchors": {"learn_omega": False, "learn_anchors": True, "anchors": 2},
    "turning filters": {"spec": "S-GCONV+S-FC", "planar": P4},
    "moving filters": {"spec": "NS-CONV"},
}


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_gradient_is_that_of_the_evidence(options, float64):
    net = network(**options)
    loader = data(net)
    found = evidence_gradient(net, loader)
    assert found.evidence == pytest.approx(evidence(net, loader))
    parameters = dict(net.named_parameters())
    assert found.gradients
    for name, gradient in found.gradients.items():
        expected = differences(net, loader, parameters[name])
        torch.testing.assert_close(gradient, expected, rtol=2e-5, atol=2e-6)
        assert gradient.abs().max() > 1e-3


def test_regression_and_given_precisions(float64):
    net = network()
    net[0].paths["S-CONV"].prior_variance = 0.0
    net[0].paths["S-CONV"].sample_prior_()
    loader, alphas = data(net, "regression"), {"0.paths.S-FC": 5.0, "2.paths.S-CONV": 0.2}
    found = evidence_gradient(net, loader, likelihood="regression", precisions=alphas)
    for name in ("0.paths.S-FC.omega", "2.paths.S-CONV.omega"):
        parameter = net.get_parameter(name)
        expected = differences(net, loader, parameter, "regression", alphas)
        torch.testing.assert_close(found.gradients[name], expected, rtol=2e-5, atol=2e-6)


def test_chosen_names_and_nothing_is_left_behind(float64):
    net = network()
    net.train()
    omega = net[0].paths["S-FC"].omega
    omega.requires_grad_(False)
    loader = data(net)
    whole = evidence_gradient(net, loader)
    some = evidence_gradient(net, loader, ["0.paths.S-FC.omega"])
    assert list(some.gradients) == ["0.paths.S-FC.omega"]
    torch.testing.assert_close(
        some.gradients["0.paths.S-FC.omega"], whole.gradients["0.paths.S-FC.omega"]
    )
    assert net.training
    assert not omega.requires_grad
    assert all(parameter.grad is None for parameter in net.parameters())


def test_uphill_raises_the_evidence(float64):
    net = network()
    loader = data(net)
    before = evidence_gradient(net, loader)
    with torch.no_grad():
        for name, gradient in before.gradients.items():
            net.get_parameter(name).add_(1e-3 * gradient / gradient.abs().max())
    assert evidence(net, loader) > before.evidence


@pytest.mark.parametrize(
    ("make", "names", "message"),
    [
        (lambda: network(learn_omega=False), None, "no deterministic parameter.*learn_omega=True"),
        (network, ["0.paths.S-FC.u1"], r"names=\['0.paths.S-FC.u1'\] are not deterministic"),
        (network, ["omega"], r"which are \['0.paths.S-CONV.omega'"),
    ],
)
def test_errors(make, names, message, float64, unchecked):
    net = make()
    with pytest.raises(SpecError, match=message):
        evidence_gradient(net, data(net), names)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"0.paths.S-FC.u1": 2.0}, r"precisions=\['0.paths.S-FC.u1'\] are not prior groups of net"),
        ({"typo": 2.0}, r"precisions=\['typo'\] .*which are \['0.bias', '0.paths.S-CONV', "),
        ({"0.paths.S-FC": 0.0}, r"precisions\['0.paths.S-FC'\]=0.0 must be positive"),
        ({"0.paths.S-FC": -1.0}, r"precisions\['0.paths.S-FC'\]=-1.0 must be positive"),
    ],
)
def test_bad_precisions(given, message, float64):
    net = network()
    with pytest.raises(SpecError, match=message):
        evidence_gradient(net, data(net), precisions=given)


def test_a_loader_that_is_used_up_by_the_first_reading_says_so(float64):
    net = network()
    with pytest.raises(DataError, match="is read twice, but gave 0 data the second time, 7 before"):
        evidence_gradient(net, iter(data(net)))


def test_every_module_keeps_its_own_mode():
    net = nn.Sequential(nn.Linear(3, 3), deterministic(nn.BatchNorm1d(3)), nn.Linear(3, 2)).train()
    net[1].eval()
    evidence_gradient(net, [(torch.randn(4, 3), torch.tensor([0, 1, 1, 0]))])
    assert [module.training for module in net.modules()] == [True, True, False, True]


def test_divergence_is_told(float64):
    net = network()
    with torch.no_grad():
        net[0].paths["S-FC"].u1.fill_(math.inf)
    with pytest.raises(NumericsError):
        evidence_gradient(net, data(net))
