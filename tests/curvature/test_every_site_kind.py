"""Every kind of site: where KFAC is exact, and the eigenvalue-corrected evidence as a bound.

KFAC is exact for one datum with one position, and for any data where a site's own outputs are those
of the network: with a Gaussian likelihood gradients of other positions are then orthogonal.
"""

import math
from contextlib import nullcontext

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from relaxeq import Field, RelaxedLayer, RelaxedLinear, exact_ggn, groups, kfac
from relaxeq.curvature import Pass, estimate
from relaxeq.evidence import Term, log_marginal_likelihood
from relaxeq.likelihoods import Bernoulli, Gaussian, Poisson
from relaxeq.paths import Sparse, depthwise_separable_conv, separable_conv
from relaxeq.sites import is_listening, listening, network_sites, tapped

pytestmark = pytest.mark.usefixtures("float64")
Z2, P4, P4M = (groups.planar(name) for name in ("Z2", "p4", "p4m"))
C4, S3 = groups.cyclic(4), groups.symmetric(3)


def path(spec, group=Z2, size=(2, 2), coarse=None, rep="regular", **options):
    """The one path of a relaxed layer from two channels to one."""
    source, target = Field(group, 2, size, rep=rep), Field(group, 1, coarse or size)
    stride = 1 if coarse is None else 2
    layer = RelaxedLayer(source, target, spec, stride=stride, **options)
    return layer.paths[spec], source.shape


def linear(spec_groups, group=S3, channels=(2, 1)):
    rho = group.regular
    layer = RelaxedLinear(rho, rho, channels=channels, groups=spec_groups)
    (only,) = layer.paths.values()
    return only, (channels[0] * rho.dim,)


KINDS = {
    "FC": lambda: path("FC"),
    "FC, coarse": lambda: path("FC", size=(2, 4), coarse=(1, 2)),
    "FC, p4": lambda: path("FC", P4),
    "F-FC": lambda: path("F-FC"),
    "F-FC, coarse": lambda: path("F-FC", size=(2, 4), coarse=(1, 2)),
    "F-FC, p4": lambda: path("F-FC", P4),
    "S-FC": lambda: path("S-FC"),
    "S-FC, coarse": lambda: path("S-FC", size=(4, 4), coarse=(2, 2)),
    "S-FC, lengthscales": lambda: path("S-FC", prior="lengthscales"),
    "CONV": lambda: path("CONV", size=(3, 2)),
    "CONV, p4": lambda: path("CONV", P4),
    "CONV, kernel of 1": lambda: path("CONV", kernel_size=1),
    "S-CONV": lambda: path("S-CONV", size=(3, 3)),
    "S-CONV, lengthscale per pair": lambda: path(
        "S-CONV", size=(3, 3), prior=Sparse("lengthscales", per_pair=True)
    ),
    "NS-CONV": lambda: path("NS-CONV", size=(2, 3)),
    "S-GCONV": lambda: path("S-GCONV", P4),
    "GCONV": lambda: path("GCONV", P4, filters="full"),
    "GCONV, lifting": lambda: path("GCONV", P4, filters="full", rep="trivial"),
    "GCONV, mirrors": lambda: path("GCONV", P4M, filters="full"),
    "GCONV, half": lambda: path("GCONV[p2]", P4, filters="full"),
    "GCONV, pointwise": lambda: path("GCONV", P4, filters="pointwise"),
    "GCONV, separable": lambda: path("GCONV", P4, filters="separable"),
    "GCONV, depthwise-separable": lambda: path("GCONV", P4, filters="depthwise-separable"),
    "STEER": lambda: path("STEER", P4, size=(3, 3)),
    "map of a group": lambda: linear([S3]),
    "map of no group": lambda: linear(["e"], C4),
    "nn.Linear": lambda: (nn.Linear(3, 2), (3,)),
    "nn.Linear over positions": lambda: (nn.Linear(3, 2), (4, 3)),
    "nn.Conv1d": lambda: (nn.Conv1d(2, 2, 3, padding=1), (2, 4)),
    "nn.Conv2d": lambda: (nn.Conv2d(2, 2, 3, padding=1), (2, 3, 3)),
    "nn.Conv2d, circular": lambda: (
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"),
        (2, 3, 3),
    ),
    "nn.Conv2d, groups and stride": lambda: (nn.Conv2d(4, 2, 2, 2, groups=2), (4, 4, 4)),
    "nn.Conv3d": lambda: (nn.Conv3d(1, 2, 2), (1, 2, 3, 2)),
}


SUMMED_BLOCKS = {"S-CONV, lengthscale per pair"}
"""Kinds whose blocks add up to one output: exact block by block."""


def same_block(net, name):
    """1 where two entries of the parameter belong to one block of its site, 0 elsewhere."""
    site = network_sites(net)[name][2]
    blocks = torch.arange(site.shape[0])[:, None, None].expand(site.shape)
    member = site.flat_from_blocks(blocks)
    return (member[:, None] == member).double()


class Own(nn.Module):
    """A network whose outputs are those of one site."""

    def __init__(self, inner, name):
        super().__init__()
        self.inner, self.name = inner, name

    def forward(self, x):
        found = {}

        def listen(module, own, x, z):
            found[id(module), own] = z

        with nullcontext() if is_listening() else tapped(self.inner), listening(listen):
            self.inner(x)
        owner, _, own = f".{self.name}".rpartition(".")
        return found[id(self.inner.get_submodule(owner[1:])), own].flatten(1)


@pytest.mark.parametrize("kind", KINDS)
def test_kfac_is_exact_where_a_sites_outputs_are_the_networks(kind):
    inner, shape = KINDS[kind]()
    x = torch.randn(5, *shape)
    names = list(network_sites(inner))
    assert names
    for name in names:
        net = Own(inner, name)
        loader = [(part, torch.zeros_like(net(part))) for part in (x[:2], x[2:])]
        truth = exact_ggn(net, loader, Gaussian(0.7))[f"inner.{name}"]
        if kind in SUMMED_BLOCKS:
            truth *= same_block(inner, name)
        found = kfac(net, loader, Gaussian(0.7))[f"inner.{name}"].dense()
        assert truth.diag().sum() > 1e-3
        torch.testing.assert_close(found, truth, msg=lambda m, n=name: f"{n}: {m}")


def staged(build):
    """Filters in stages without orientations, which specs call CONV."""
    source, target = Field(Z2, 2, (1, 1)), Field(Z2, 1, (1, 1))
    return build(source, target, 3, Z2.point_group.subgroup([])), source.shape


ONE_POSITION = {
    "FC": lambda: path("FC"),
    "FC, p4": lambda: path("FC", P4),
    "F-FC": lambda: path("F-FC"),
    "F-FC, coarse": lambda: path("F-FC", size=(2, 4), coarse=(1, 2)),
    "F-FC, p4": lambda: path("F-FC", P4),
    "S-FC": lambda: path("S-FC"),
    "S-FC, lengthscales": lambda: path("S-FC", prior="lengthscales"),
    "CONV": lambda: path("CONV", size=(1, 1)),
    "S-CONV": lambda: path("S-CONV", size=(1, 1)),
    "NS-CONV": lambda: path("NS-CONV", size=(1, 1)),
    "separable": lambda: staged(separable_conv),
    "depthwise-separable": lambda: staged(depthwise_separable_conv),
    "map of no group": lambda: linear(["e"], groups.trivial()),
    "nn.Linear": KINDS["nn.Linear"],
    "nn.Conv1d": lambda: (nn.Conv1d(2, 2, 3), (2, 3)),
    "nn.Conv2d": lambda: (nn.Conv2d(2, 2, 2, groups=2), (2, 2, 2)),
    "nn.Conv3d": lambda: (nn.Conv3d(1, 2, 2), (1, 2, 2, 2)),
}


def headed(build, classes=3, trained=False):
    """The kind, tanh, and a linear head."""
    inner, shape = build()
    width = inner(torch.zeros(1, *shape)).flatten(1).shape[1]
    head = nn.Linear(width, classes).requires_grad_(trained)
    return nn.Sequential(inner, nn.Tanh(), nn.Flatten(), head), shape


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("kind", ONE_POSITION)
def test_kfac_is_exact_by_blocks_for_one_datum_with_one_position(kind, copies):
    net, shape = headed(ONE_POSITION[kind])
    x = torch.randn(1, *shape).expand(copies, *shape)
    loader = [(x, torch.arange(copies) % 3)]
    truth = exact_ggn(net, loader)
    for name, block in kfac(net, loader).items():
        expected = truth[name] * same_block(net, name)
        assert expected.diag().sum() > 1e-9
        torch.testing.assert_close(block.dense(), expected, msg=lambda m, n=name: f"{n}: {m}")


LIKELIHOODS = ("classification", Gaussian(0.5), Bernoulli(), Poisson())


@settings(max_examples=60)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    likelihood=st.sampled_from(LIKELIHOODS),
    count=st.integers(1, 6),
    scale=st.sampled_from([0.1, 1.0, 3.0]),
    power=st.integers(-3, 3),
    seed=st.integers(0, 10**6),
)
def test_corrected_evidence_is_a_lower_bound(kind, likelihood, count, scale, power, seed):
    """log det(diag(QᵀHQ) + δ) ≥ log det(H + δ): Hadamard (1893), Fischer (1908)."""
    torch.manual_seed(seed)
    net, shape = headed(KINDS[kind], trained=True)
    x = scale * torch.randn(count, *shape)
    y = torch.arange(count) % 3
    if likelihood != "classification":
        y = nn.functional.one_hot(y, 3).double()
    loader = [(x[: count // 2], y[: count // 2])] * (count > 1) + [
        (x[count // 2 :], y[count // 2 :])
    ]
    truth = exact_ggn(net, loader, likelihood)
    found = estimate(net, loader, Pass(likelihood), "corrected")
    delta, named = 10.0**power, dict(net.named_parameters())
    exact, bound = {}, {}
    for name, block in found.blocks.items():
        norm = float(named[name].detach().square().sum())
        values = torch.linalg.eigvalsh(truth[name]).clamp_min(0)
        exact[name], bound[name] = Term(values, norm), Term(block.eigenvalues(), norm)
        above = float(block.logdet(delta) - (values + delta).log().sum())
        assert above >= -1e-8 * len(values)
        assert float(block.trace()) == pytest.approx(float(values.sum()), rel=1e-6, abs=1e-9)
    precisions = dict.fromkeys(exact, delta)
    best = log_marginal_likelihood(found.log_likelihood, exact, precisions)
    assert log_marginal_likelihood(found.log_likelihood, bound, precisions) <= best + 1e-6
    assert math.isfinite(best)
