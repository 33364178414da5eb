"""Gradients rebuilt from sites, datum by datum, equal autograd's: paths, torch layers, all axes."""

import itertools

import pytest
import torch
from torch import nn

from relaxeq import Field, RelaxedLayer, groups, register_sites
from relaxeq.sites import Rearranged, Site, listening, network_sites, tapped

pytestmark = pytest.mark.usefixtures("float64")
Z2, P4, P4M, PMM = (groups.planar(name) for name in ("Z2", "p4", "p4m", "pmm"))


def rebuilt(net, x, weights):
    """{name: (batch, *shape)}: Σ_calls g aᵀ from what the taps show, in the parameter's order."""
    sites = network_sites(net)
    names = {(id(module), own): full for full, (module, own, _) in sites.items()}
    calls = []
    with tapped(net), listening(lambda m, own, a, z: calls.append((names[id(m), own], a, z))):
        loss = (net(x) * weights).sum()
    gradients = torch.autograd.grad(loss, [z for _, _, z in calls], retain_graph=True)
    found = {}
    for (name, a, _), g in zip(calls, gradients, strict=True):
        site = sites[name][2]
        per_datum = site.sample_gradients(a.detach(), g)
        flat = torch.stack([site.flat_from_blocks(one) for one in per_datum])
        found[name] = found.get(name, 0) + flat.view(len(x), *net.get_parameter(name).shape)
    return found


def check(net, shape, count=3):
    for parameter in net.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(count, *shape)
    weights = torch.randn_like(net(x))
    found = rebuilt(net, x, weights)
    named = dict(net.named_parameters())
    assert found.keys() == named.keys()
    for n in range(count):
        loss = (net(x[n : n + 1]) * weights[n : n + 1]).sum()
        truth = torch.autograd.grad(loss, list(named.values()))
        for name, gradient in zip(named, truth, strict=True):
            torch.testing.assert_close(
                found[name][n], gradient, msg=lambda m, name=name: f"{name}: {m}"
            )


def relaxed(group, spec, size, in_, out, **options):
    source, target = options.pop("source", "regular"), options.pop("target", "regular")
    coarse = tuple(n // options.get("stride", 1) for n in size)
    return RelaxedLayer(
        Field(group, in_, size, rep=source), Field(group, out, coarse, rep=target), spec, **options
    )


LAYERS = {
    "FC": (lambda: relaxed(Z2, "FC", (2, 3), 2, 3), (2, 2, 3)),
    "FC, p4, stride 2": (lambda: relaxed(P4, "FC", (2, 2), 1, 1, stride=2), (4, 2, 2)),
    "F-FC": (lambda: relaxed(Z2, "F-FC", (2, 3), 2, 3), (2, 2, 3)),
    "F-FC, stride 2": (lambda: relaxed(Z2, "F-FC", (4, 2), 2, 3, stride=2), (2, 4, 2)),
    "F-FC, p4": (lambda: relaxed(P4, "F-FC", (3, 3), 2, 1), (8, 3, 3)),
    "CONV": (lambda: relaxed(Z2, "CONV", (3, 4), 2, 3), (2, 3, 4)),
    "CONV on 1×1": (lambda: relaxed(Z2, "CONV", (1, 1), 2, 3), (2, 1, 1)),
    "CONV 5×5 on 2×3": (lambda: relaxed(Z2, "CONV", (2, 3), 2, 1, kernel_size=5), (2, 2, 3)),
    "CONV, p4m": (lambda: relaxed(P4M, "CONV", (2, 2), 1, 1), (8, 2, 2)),
    "GCONV p4": (lambda: relaxed(P4, "GCONV", (3, 3), 2, 1), (8, 3, 3)),
    "GCONV p4m, 1×1 filter": (
        lambda: relaxed(P4M, "GCONV", (2, 2), 1, 2, kernel_size=1), (8, 2, 2)),
    "GCONV pmm": (lambda: relaxed(PMM, "GCONV", (2, 3), 2, 1), (8, 2, 3)),
    "GCONV p4, full": (lambda: relaxed(P4, "GCONV", (3, 3), 2, 1, filters="full"), (8, 3, 3)),
    "GCONV p4m, full, 5×5": (
        lambda: relaxed(P4M, "GCONV", (2, 2), 1, 1, filters="full", kernel_size=5), (8, 2, 2)),
    "GCONV p4, separable": (
        lambda: relaxed(P4, "GCONV", (3, 3), 2, 1, filters="separable"), (8, 3, 3)),
    "GCONV pmm, depthwise-separable": (
        lambda: relaxed(PMM, "GCONV", (2, 3), 2, 3, filters="depthwise-separable"), (8, 2, 3)),
    "separable lifting": (
        lambda: relaxed(P4, "GCONV", (3, 3), 2, 1, filters="separable", source="trivial"),
        (2, 3, 3)),
    "lifting": (lambda: relaxed(P4, "GCONV", (3, 3), 2, 1, source="trivial"), (2, 3, 3)),
    "invariant": (lambda: relaxed(P4, "GCONV", (3, 3), 2, 3, target="trivial"), (8, 3, 3)),
    "trivial to trivial": (
        lambda: relaxed(P4M, "GCONV", (3, 3), 2, 3, source="trivial", target="trivial"),
        (2, 3, 3)),
    "all paths": (lambda: relaxed(P4, "FC+F-FC+CONV+GCONV", (2, 2), 1, 2), (4, 2, 2)),
    "all paths, stride 2": (
        lambda: relaxed(P4, "FC+F-FC+CONV+GCONV", (4, 4), 1, 1, stride=2), (4, 4, 4)),
    "linear": (lambda: nn.Linear(4, 3), (4,)),
    "linear over positions": (lambda: nn.Linear(4, 3), (2, 5, 4)),
    "1d": (lambda: nn.Conv1d(4, 6, 3, 2, 1, groups=2), (4, 7)),
    "1d dilated": (lambda: nn.Conv1d(2, 2, 3, dilation=2, padding="same"), (2, 5)),
    "2d": (lambda: nn.Conv2d(2, 3, (2, 3), (2, 1), (1, 0)), (2, 4, 5)),
    "2d torus": (lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), (2, 3, 4)),
    "2d depthwise": (lambda: nn.Conv2d(3, 6, 3, padding=1, groups=3), (3, 4, 4)),
    "2d reflect": (lambda: nn.Conv2d(2, 2, 3, padding=2, padding_mode="reflect"), (2, 4, 4)),
    "2d replicate": (lambda: nn.Conv2d(2, 2, 3, padding=2, padding_mode="replicate"), (2, 3, 3)),
    "2d circular, stride": (
        lambda: nn.Conv2d(2, 2, 3, 2, padding=(1, 2), padding_mode="circular"), (2, 4, 4)),
    "3d": (lambda: nn.Conv3d(2, 4, 2, (1, 2, 1), 1, groups=2), (2, 2, 3, 3)),
    "3d circular": (lambda: nn.Conv3d(1, 2, 3, padding=1, padding_mode="circular"), (1, 2, 3, 2)),
    "no bias": (lambda: nn.Conv2d(1, 2, 2, bias=False), (1, 3, 3)),
    "a module used twice": (lambda: nn.Sequential(*[nn.Linear(3, 3)] * 2), (3,)),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    build, shape = LAYERS[name]
    check(build(), shape)


class Blocks(nn.Module):
    """z[n,b,s,o] = Σ_i θ_b[o,i] x[n,b,s,i], θ stored in any order of its axes."""

    def __init__(self, axes):
        super().__init__()
        self.axes = axes
        sizes = {"b": 2, "o": 3, "i": 4}
        self.theta = nn.Parameter(torch.randn(*(sizes[axis] for axis in axes)))

    def forward(self, x):
        return torch.einsum(f"{self.axes},nbsi->nbso", self.theta, x)


@register_sites(Blocks)
def blocks_sites(module):
    same = Rearranged("n b s d -> n b s d")
    return {"theta": Site(same, same, (2, 3, 4), module.axes)}


@pytest.mark.parametrize("axes", ["".join(order) for order in itertools.permutations("boi")])
def test_every_order_of_axes(axes):
    check(Blocks(axes), (2, 5, 4))
    layer = Blocks(axes)
    site = blocks_sites(layer)["theta"]
    whole = site.to_blocks(layer.theta.detach())
    assert whole.shape == (2, 3, 4)
    for b, o, i in itertools.product(range(2), range(3), range(4)):
        at = {"b": b, "o": o, "i": i}
        assert whole[b, o, i] == layer.theta[tuple(at[axis] for axis in axes)]
    assert torch.equal(site.flat_from_blocks(whole), layer.theta.detach().flatten())
