"""The named list of cases in which KFAC is the exact Gauss–Newton matrix.

One datum with one position; N copies of it; deep linear networks with a Gaussian likelihood, where
gradients do not depend on the datum (Eschenhagen et al. 2023); and, at any S, layers whose outputs
are the network's. `whole` says that blocks of one parameter do not meet in the exact matrix either;
elsewhere the matrix is compared block by block.
"""

import pytest
import torch
from torch import nn

from relaxeq import Field, RelaxedLayer, exact_ggn, groups, kfac
from relaxeq.likelihoods import Gaussian
from relaxeq.models import PaperNet
from relaxeq.paths import FC, FactoredFC, GroupConv
from relaxeq.sites import network_sites

pytestmark = pytest.mark.usefixtures("float64")
Z2, P4 = groups.planar("Z2"), groups.planar("p4")


def field(channels, size, group=Z2, rep="regular"):
    return Field(group, channels, size, rep=rep)


def factored(in_, out, size, coarse):
    return FactoredFC(field(in_, size), field(out, coarse))


def conv(size, kernel=3, group=Z2, part=()):
    source, target = field(2, size, group), field(1, size, group)
    return GroupConv(source, target, kernel, group.point_group.subgroup(list(part)))


def one(*shape, copies=1):
    return lambda out: (torch.randn(1, *shape).expand(copies, *shape), copies)


def many(*shape, count=5):
    return lambda out: (torch.randn(count, *shape), count)


def relaxed(spec, group=Z2, size=(2, 2), coarse=(1, 1)):
    stride = size[0] // coarse[0]
    return RelaxedLayer(field(1, size, group), field(2, coarse, group), spec, stride=stride)


# name: (network, data, likelihood, exact as a whole)
CASES = {
    "one datum, linear layers": (
        lambda: nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 3)),
        one(4), "classification", True),
    "one datum, regression": (
        lambda: nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)),
        one(4), Gaussian(0.3), True),
    "three copies of a datum": (
        lambda: nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 3)),
        one(4, copies=3), "classification", True),
    "one datum, torch convolutions with one position": (
        lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.Tanh(), nn.Conv2d(3, 2, 1), nn.Flatten()),
        one(2, 3, 3), Gaussian(2.0), True),
    "one datum, groups and dilation with one position": (
        lambda: nn.Sequential(
            nn.Conv2d(4, 4, 2, dilation=2, groups=2), nn.Tanh(), nn.Flatten(), nn.Linear(4, 2)),
        one(4, 3, 3), "classification", False),
    "one datum, 1d and 3d": (
        lambda: nn.Sequential(
            nn.Conv3d(1, 2, (1, 3, 3)), nn.Flatten(2), nn.Conv1d(2, 3, 1), nn.Flatten()),
        one(1, 1, 3, 3), "classification", True),
    "one datum, FC": (
        lambda: nn.Sequential(FC(field(2, (2, 3)), field(1, (2, 3))), nn.Tanh(), nn.Flatten()),
        one(2, 2, 3), "classification", True),
    "one datum, CONV on a 1×1 grid": (
        lambda: nn.Sequential(conv((1, 1)), nn.Tanh(), nn.Flatten(), nn.Linear(1, 3)),
        one(2, 1, 1), "classification", True),
    "one datum, F-FC from one channel to one": (
        lambda: nn.Sequential(factored(1, 1, (2, 3), (1, 2)), nn.Tanh(), nn.Flatten()),
        one(1, 2, 3), "classification", True),
    "one datum, F-FC by blocks": (
        lambda: nn.Sequential(factored(3, 2, (2, 3), (2, 1)), nn.Tanh(), nn.Flatten()),
        one(3, 2, 3), "classification", False),
    "one datum, F-FC on p4 by blocks": (
        lambda: nn.Sequential(
            FactoredFC(field(1, (2, 2), P4), field(1, (1, 1), P4)), nn.Tanh(), nn.Flatten()),
        one(4, 2, 2), "classification", False),
    "one datum, F-FC with stride 2 and its bias": (
        lambda: nn.Sequential(relaxed("F-FC"), nn.Tanh(), nn.Flatten(), nn.Linear(2, 3)),
        one(1, 2, 2), "classification", False),
    "one datum, relaxed layer on a 1×1 grid": (
        lambda: nn.Sequential(
            relaxed("FC+F-FC+CONV", size=(1, 1)), nn.Tanh(), nn.Flatten(), nn.Linear(2, 3)),
        one(1, 1, 1), "classification", False),
    "one datum repeated, relaxed layer on a 1×1 grid of p4": (
        lambda: nn.Sequential(
            relaxed("F-FC+CONV", P4, (1, 1)), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)),
        one(4, 1, 1, copies=2), "classification", False),
    "last layer, any features": (
        lambda: nn.Sequential(nn.Linear(4, 3).requires_grad_(False), nn.Tanh(), nn.Linear(3, 2)),
        many(4), Gaussian(0.7), True),
    "deep linear network": (
        lambda: nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 3), nn.Linear(3, 2)),
        many(4), Gaussian(0.7), True),
    "deep linear network of paths": (
        lambda: nn.Sequential(
            FC(field(1, (2, 3)), field(2, (1, 2))), nn.Flatten(), nn.Linear(4, 2)),
        many(1, 2, 3), Gaussian(0.7), True),
    "deep linear network with F-FC by blocks": (
        lambda: nn.Sequential(factored(2, 3, (2, 2), (1, 2)), nn.Flatten(), nn.Linear(6, 2)),
        many(2, 2, 2), Gaussian(0.7), False),
    "outputs of a linear layer over positions": (
        lambda: nn.Sequential(nn.Linear(4, 3), nn.Flatten()), many(5, 4), Gaussian(0.7), True),
    "outputs of CONV": (
        lambda: nn.Sequential(conv((3, 4)), nn.Flatten()), many(2, 3, 4), Gaussian(0.7), True),
    "outputs of CONV 5×5 on 2×2": (
        lambda: nn.Sequential(conv((2, 2), 5), nn.Flatten()), many(2, 2, 2), Gaussian(0.7), True),
    "outputs of GCONV p4": (
        lambda: nn.Sequential(conv((3, 3), 3, P4, [1]), nn.Flatten()),
        many(8, 3, 3), Gaussian(0.7), True),
    "outputs of GCONV p2 of p4": (
        lambda: nn.Sequential(conv((2, 2), 3, P4, [2]), nn.Flatten()),
        many(8, 2, 2), Gaussian(0.7), True),
    "outputs of a strided, reflecting convolution": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 2, 3, 2, padding=1, padding_mode="reflect", bias=False), nn.Flatten()),
        many(2, 4, 4), Gaussian(0.7), True),
    "outputs of depthwise convolution": (
        lambda: nn.Sequential(nn.Conv2d(3, 3, 2, groups=3), nn.Flatten()),
        many(3, 3, 3), Gaussian(0.7), True),
    "outputs of F-FC: θ1 as a whole, θ2 by blocks": (
        lambda: nn.Sequential(factored(2, 2, (2, 2), (2, 2)), nn.Flatten()),
        many(2, 2, 2), Gaussian(0.7), False),
}  # fmt: skip


def data(case, out):
    x, count = case(out)
    return x, count


@pytest.mark.parametrize("name", CASES)
def test_kfac_is_exact(name):
    build, draw, likelihood, whole = CASES[name]
    net = build()
    x, count = draw(None)
    out = net(x[:1]).shape[1]
    y = torch.arange(count) % out if likelihood == "classification" else torch.randn(count, out)
    loader = [(x[i : i + 2], y[i : i + 2]) for i in range(0, count, 2)]
    truth = exact_ggn(net, loader, likelihood)
    found = kfac(net, loader, likelihood)
    assert found.keys() == truth.keys()
    for parameter, block in found.items():
        expected = truth[parameter] if whole else truth[parameter] * same_block(net, parameter)
        assert expected.abs().max() > 1e-6
        torch.testing.assert_close(block.dense(), expected, msg=lambda m, p=parameter: f"{p}: {m}")


def same_block(net, parameter):
    """1 where two entries of the parameter belong to one block of its site, 0 elsewhere."""
    site = network_sites(net)[parameter][2]
    blocks = torch.arange(site.shape[0])[:, None, None].expand(site.shape)
    member = site.flat_from_blocks(blocks)
    return (member[:, None] == member).double()


def test_theta1_of_output_factored_layers_is_exact_as_a_whole():
    net = nn.Sequential(factored(2, 3, (2, 2), (1, 2)), nn.Flatten())
    loader = [(torch.randn(5, 2, 2, 2), torch.randn(5, 6))]
    truth = exact_ggn(net, loader, Gaussian(0.7))["0.theta1"]
    torch.testing.assert_close(kfac(net, loader, Gaussian(0.7))["0.theta1"].dense(), truth)


BIASES = {
    "linear": (lambda: nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3)), (3,)),
    "linear over positions": (
        lambda: nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)), (4, 3)),
    "convolution": (
        lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 3)),
        (2, 4, 4)),
    "relaxed": (
        lambda: nn.Sequential(relaxed("CONV", Z2, (3, 3), (3, 3)), nn.Tanh(), nn.Flatten()),
        (1, 3, 3)),
    "relaxed, p4, stride 2": (
        lambda: nn.Sequential(relaxed("GCONV", P4, (4, 4), (2, 2)), nn.Tanh(), nn.Flatten()),
        (4, 4, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", BIASES)
def test_biases_are_exact_for_one_datum(name):
    """Gradients are summed over positions and orientations before the outer product."""
    build, shape = BIASES[name]
    net, x = build(), torch.randn(1, *shape)
    loader = [(x, torch.tensor([1]))]
    truth = exact_ggn(net, loader)
    biases = {k: v for k, v in kfac(net, loader).items() if k.endswith(("bias", "bias.value"))}
    assert biases
    for parameter, block in biases.items():
        torch.testing.assert_close(block.dense(), truth[parameter])


@pytest.mark.parametrize("name", BIASES)
def test_biases_are_exact_for_many_data(name):
    """A = N is the same for every datum, so Σ A_n ⊗ G_n = (Σ A_n) ⊗ (Σ G_n)/N."""
    build, shape = BIASES[name]
    net, x = build(), torch.randn(4, *shape)
    loader = [(x[:3], torch.tensor([0, 1, 2])), (x[3:], torch.tensor([1]))]
    truth = exact_ggn(net, loader)
    for parameter, block in kfac(net, loader).items():
        if parameter.endswith(("bias", "bias.value")):
            torch.testing.assert_close(block.dense(), truth[parameter])


def test_one_datum_through_a_whole_network():
    """PaperNet on 8×8: biases of all layers, and all parameters where the grid is 1×1."""
    net = PaperNet("F-FC+CONV", in_channels=1, classes=3, alpha=1, size=(8, 8))
    loader = [(torch.randn(1, 1, 8, 8), torch.tensor([2]))]
    found = kfac(net, loader)
    truth = exact_ggn(net, loader)
    assert found.keys() == truth.keys()
    exact = [n for n in found if "bias" in n or n.startswith(("hidden", "head"))]
    assert len(exact) == 6 + 4 - 2 + 2
    for parameter in exact:
        torch.testing.assert_close(found[parameter].dense(), truth[parameter])
