"""laplace-torch 0.3 fits, scores and predicts with the curvature of sites."""

import io
import math

import pytest
import torch
from laplace import Laplace
from laplace.curvature import AsdlGGN
from laplace.utils.matrix import Kron
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from relaxeq import Field, RelaxedLayer, deterministic, exact_ggn, groups, kfac
from relaxeq.curvature import Pass, Posterior, estimate
from relaxeq.errors import SiteError, SpecError
from relaxeq.evidence import log_marginal_likelihood
from relaxeq.interop.laplace import SiteGGN, SiteLaplace, prior_precisions
from relaxeq.interop.laplace_factors import SiteKron
from relaxeq.likelihoods import Gaussian
from relaxeq.models import PaperNet
from relaxeq.recipe.priors import prior_groups, terms_of
from relaxeq.sites import network_sites

pytestmark = [
    pytest.mark.usefixtures("float64"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning"),
]
N = 7


def relaxed(spec, group, filters="pointwise"):
    space = groups.semidirect(groups.Z2(), group)
    source, target = Field(space, 1, (4, 4)), Field(space, 2, (4, 4))
    layer = RelaxedLayer(source, target, spec, filters=filters)
    return nn.Sequential(layer, nn.Tanh(), nn.Flatten(), nn.Linear(target.dim, 3)), source.shape


def groups_net():
    first = nn.Conv2d(4, 4, 3, 2, 1, groups=2)
    return nn.Sequential(first, nn.Tanh(), nn.Flatten(), nn.Linear(16, 3)), (4, 4, 4)


NETS = {
    "F-FC+CONV": lambda: relaxed("F-FC+CONV", groups.p1()),
    "GCONV pointwise": lambda: relaxed("FC+GCONV", groups.p2()),
    "GCONV full": lambda: relaxed("GCONV", groups.p4(), "full"),
    "PaperNet": lambda: (PaperNet("F-FC+CONV", 1, 3, 1, (8, 8)), (1, 8, 8)),
    "S-FC+S-CONV": lambda: relaxed("S-FC+S-CONV", groups.p1()),
    "convolution with groups": groups_net,
    "linear over positions": lambda: (
        nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)), (4, 3)),
}  # fmt: skip


def made(name):
    net, shape = NETS[name]()
    for i, path in enumerate(m for m in net.modules() if hasattr(m, "prior_variance")):
        path.prior_variance = 0.5 + 0.25 * i
    x, y = torch.randn(N, *shape), torch.arange(N) % 3
    return net.eval(), DataLoader(TensorDataset(x, y), 3), x


def fitted(net, loader, structure="sites", likelihood="classification", **options):
    la = Laplace(net, likelihood, "all", structure, backend=SiteGGN, **options)
    la.fit(loader)
    return la


def precisions_of(net):
    return {group.name: group.precision for group in prior_groups(net)}


@pytest.mark.parametrize("structure", ["kron", "sites"])
@pytest.mark.parametrize("name", NETS)
def test_evidence_is_ours(name, structure):
    net, loader, _ = made(name)
    if structure == "kron" and max(p.ndim for p in net.parameters()) > 4:
        with pytest.raises(ValueError, match="Invalid parameter shape"):
            fitted(net, loader, structure)
        return
    la = fitted(net, loader, structure, prior_precision=prior_precisions(net))
    found = estimate(net, list(loader), Pass())
    terms = terms_of(net, prior_groups(net), found.blocks)
    ours = log_marginal_likelihood(found.log_likelihood, terms, precisions_of(net))
    assert float(la.log_marginal_likelihood()) == pytest.approx(ours, rel=1e-9)
    assert float(la.log_likelihood) == pytest.approx(found.log_likelihood, rel=1e-9)


@pytest.mark.parametrize("name", NETS)
def test_predictions_are_those_of_our_posterior(name):
    net, loader, x = made(name)
    la = fitted(net, loader, prior_precision=prior_precisions(net))
    blocks = kfac(net, list(loader))
    owner = {p: g.precision for g in prior_groups(net) for p in g.parameters}
    mean, covariance = Posterior(net, blocks, owner).covariance(x)
    found_mean, found = la._glm_predictive_distribution(x)
    torch.testing.assert_close(found_mean, mean)
    torch.testing.assert_close(found, covariance)
    probabilities = la(x, pred_type="glm", link_approx="probit")
    kappa = (1 + math.pi / 8 * covariance.diagonal(dim1=1, dim2=2)).rsqrt()
    torch.testing.assert_close(probabilities, (kappa * mean).softmax(1))


@pytest.mark.parametrize("name", NETS)
def test_jacobians(name):
    net, loader, x = made(name)
    found, outputs = fitted(net, loader).backend.jacobians(x)
    torch.testing.assert_close(outputs, net(x).detach())
    for n in range(N):
        for k in range(3):
            rows = torch.autograd.grad(net(x[n : n + 1])[0, k], list(net.parameters()))
            torch.testing.assert_close(found[n, k], torch.cat([r.flatten() for r in rows]))


def test_diagonal_and_full_are_exact():
    net, loader, x = made("F-FC+CONV")
    truth = exact_ggn(net, list(loader))
    whole = fitted(net, loader, "full").H
    diagonal = fitted(net, loader, "diag").H
    start = 0
    for name, parameter in net.named_parameters():
        part = slice(start, start + parameter.numel())
        torch.testing.assert_close(whole[part, part], truth[name])
        torch.testing.assert_close(diagonal[part], truth[name].diagonal())
        start = part.stop
    assert len(diagonal) == start


def test_regression_with_noise():
    net, shape = relaxed("F-FC+CONV", groups.p1())
    x, y = torch.randn(N, *shape), torch.randn(N, 3)
    loader = DataLoader(TensorDataset(x, y), 3)
    la = fitted(net, loader, likelihood="regression", sigma_noise=0.5)
    found = estimate(net, list(loader), Pass(Gaussian(0.5)))
    terms = terms_of(net, prior_groups(net), found.blocks)
    ours = log_marginal_likelihood(found.log_likelihood, terms, precisions_of(net))
    assert float(la.log_marginal_likelihood()) == pytest.approx(ours, rel=1e-9)


def test_monte_carlo_draws_labels():
    net, loader, _ = made("F-FC+CONV")
    exact = fitted(net, loader)
    drawn = [fitted(net, loader, backend_kwargs={"stochastic": True}) for _ in range(2)]
    (a, g, rows), others = exact.H_facs.kfacs[0], [la.H_facs.kfacs[0] for la in drawn]
    for of_a, of_g, count in others:
        torch.testing.assert_close(of_a, a)
        assert count == rows
        assert not torch.allclose(of_g, g)
    assert not torch.equal(others[0][1], others[1][1])


def dense(la, loader):
    """H + α, block by block."""
    blocks = kfac(la.model, list(loader))
    alphas = la.prior_precision.expand(len(blocks))
    shifted = [
        b.dense() + alpha * torch.eye(b.size)
        for b, alpha in zip(blocks.values(), alphas, strict=True)
    ]
    return torch.block_diag(*shifted)


def test_algebra_of_the_decomposed_factors():
    net, loader, _ = made("F-FC+CONV")
    la = fitted(net, loader, prior_precision=prior_precisions(net))
    truth, found = dense(la, loader), la.posterior_precision
    size = len(truth)
    torch.testing.assert_close(found.to_matrix(), truth)
    torch.testing.assert_close(found.diag(), truth.diagonal())
    torch.testing.assert_close(found.diag(-1), truth.inverse().diagonal())
    torch.testing.assert_close(found.logdet(), truth.logdet())
    torch.testing.assert_close(found.to_matrix(-1), truth.inverse())
    w = torch.randn(2, 3, size)
    torch.testing.assert_close(found.bmm(w, -1), w @ truth.inverse())
    torch.testing.assert_close(found.bmm(w[0, 0], 1), truth @ w[0, 0])
    half = found.bmm(torch.eye(size), -0.5)
    torch.testing.assert_close(half @ half.mT, truth.inverse())
    samples = la.sample(20_000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(samples.var(0), truth.inverse().diagonal(), rtol=0.1, atol=0.0)
    moved = samples[:3]
    delta = moved[0] - la.mean
    torch.testing.assert_close(la.square_norm(moved[0]), delta @ truth @ delta)


def test_algebra_of_the_factors():
    net, loader, _ = made("convolution with groups")
    factors = fitted(net, loader).H_facs
    truth = torch.block_diag(*(b.dense() for b in kfac(net, list(loader)).values()))
    shift = 1e-3 * torch.eye(len(truth))
    torch.testing.assert_close(factors.to_matrix(), truth)
    torch.testing.assert_close((2.0 * factors).to_matrix(), 2 * truth)
    torch.testing.assert_close((factors + factors).to_matrix(), 2 * truth)
    torch.testing.assert_close(factors.diag(), truth.diagonal())
    w = torch.randn(4, len(truth))
    torch.testing.assert_close(factors.bmm(w), w @ truth)
    shifted = factors.decompose() + torch.tensor(1e-3)
    torch.testing.assert_close(shifted.logdet(), (truth + shift).logdet())


def test_the_evidence_can_be_climbed():
    net, loader, _ = made("F-FC+CONV")
    la = fitted(net, loader)
    before = float(la.log_marginal_likelihood())
    alphas = torch.ones(la.n_layers, requires_grad=True)
    (slope,) = torch.autograd.grad(la.log_marginal_likelihood(alphas), alphas)
    assert float(la.log_marginal_likelihood(alphas.detach() + 1e-3 * slope)) > before


def test_more_data_later_is_all_data_at_once():
    net, loader, _ = made("F-FC+CONV")
    x, y = loader.dataset.tensors
    once = fitted(net, loader)
    twice = fitted(net, DataLoader(TensorDataset(x[:4], y[:4]), 4))
    twice.fit(DataLoader(TensorDataset(x[4:], y[4:]), 2), override=False)
    torch.testing.assert_close(twice.H_facs.to_matrix(), once.H_facs.to_matrix())
    assert twice.n_data == N
    torch.testing.assert_close(twice.log_marginal_likelihood(), once.log_marginal_likelihood())


def test_saving_and_loading():
    net, loader, x = made("F-FC+CONV")
    la, stored = fitted(net, loader), io.BytesIO()
    torch.save(la.state_dict(), stored)
    stored.seek(0)
    other = SiteLaplace(net, "classification", backend=SiteGGN)
    other.load_state_dict(torch.load(stored, weights_only=False))
    torch.testing.assert_close(other(x), la(x))
    torch.testing.assert_close(other.log_marginal_likelihood(), la.log_marginal_likelihood())


def test_equal_to_asdl_where_it_is_right():
    """Its bias of a convolution takes Σ g gᵀ over positions; weights and linear layers agree."""
    net = nn.Sequential(nn.Conv2d(2, 3, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3))
    x, y = torch.randn(N, 2, 4, 4), torch.arange(N) % 3
    loader = DataLoader(TensorDataset(x, y), N)
    theirs = Laplace(net, "classification", "all", "kron", backend=AsdlGGN)
    with pytest.warns(FutureWarning):
        theirs.fit(loader)
    ours = fitted(net, loader, "kron")
    found, truth = theirs.H.to_matrix(), ours.H.to_matrix()
    bias = slice(54, 57)
    assert not torch.allclose(found[bias, bias], truth[bias, bias], rtol=0.2)
    found[bias, bias] = truth[bias, bias]
    torch.testing.assert_close(found, truth)


def test_refusals():
    net, loader, x = made("F-FC+CONV")
    with pytest.raises(SpecError, match="subset_of_weights='all'"):
        SiteGGN(net, "classification", last_layer=True)
    with pytest.raises(SpecError, match="subset_of_weights='all'"):
        SiteGGN(net, "classification", subnetwork_indices=torch.arange(2))
    with pytest.raises(SpecError, match="num_samples=2"):
        SiteGGN(net, "classification", num_samples=2)
    with pytest.raises(SpecError, match="damping=True changes the evidence"):
        fitted(net, loader, damping=True)
    with pytest.raises(SpecError, match="enable_backprop=True"):
        fitted(net, loader).backend.jacobians(x, enable_backprop=True)
    foreign = Kron([[torch.ones(2, 2)]])
    with pytest.raises(SpecError, match="of another backend cannot be added"):
        foreign + SiteKron([], [])
    normal = nn.Sequential(nn.Linear(3, 2), deterministic(nn.BatchNorm1d(2)))
    with pytest.raises(SiteError, match=r"'1.weight' is trained but has no prior.*requires_grad_"):
        SiteGGN(normal, "classification")
    net[0].paths["CONV"].prior_variance = 0.0
    with pytest.raises(SpecError, match=r"prior_variance=0.0 of '0.paths.CONV'.*requires_grad_"):
        prior_precisions(net)


def test_frozen_parameters_are_left_out():
    net, loader, _ = made("F-FC+CONV")
    net[0].paths["CONV"].requires_grad_(False)
    la = fitted(net, loader, prior_precision=prior_precisions(net))
    assert list(la.backend.sites) == list(network_sites(net))
    assert la.n_params == sum(p.numel() for p in net.parameters() if p.requires_grad)
    assert torch.isfinite(la.log_marginal_likelihood())
