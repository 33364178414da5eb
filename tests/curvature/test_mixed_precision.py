"""Half precision on the way forward and back: factors and sums are float32 or better."""

import copy

import pytest
import torch
from torch import nn

from relaxeq import Field, RelaxedLayer, groups, kfac
from relaxeq.curvature import FLAVOURS, Pass, Posterior, estimate
from relaxeq.errors import NumericsError


def data(*shape, count=6):
    return torch.randn(count, *shape), torch.arange(count) % 3


HALVES = {torch.bfloat16: 0.02, torch.float16: 0.002}
"""What a forward and a backward pass with 8 and 11 bits leave of a trace, relatively."""


class Autocast(nn.Module):
    def __init__(self, inner, dtype):
        super().__init__()
        self.inner, self.dtype = inner, dtype

    def forward(self, x):
        with torch.autocast("cpu", self.dtype):
            return self.inner(x)


def small():
    torch.manual_seed(2)
    conv = nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular")
    return nn.Sequential(conv, nn.Tanh(), nn.Flatten(), nn.Linear(36, 3))


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("where", ["inside", "outside", "all"])
def test_mixed_precision_sums_in_float32(flavour, dtype, where):
    """A forward pass in few bits rounds activations, but no sum over 300 data does."""
    x, y = data(1, 3, 3, count=300)
    x = x + 2.0  # sums that bfloat16 would stall at 256 times an addend
    plain = small()
    truth = estimate(plain, [(x, y)], Pass(), flavour).blocks
    if where == "inside":
        found = estimate(Autocast(plain, dtype), [(x, y)], Pass(), flavour).blocks
        found = {name.removeprefix("inner."): block for name, block in found.items()}
    elif where == "outside":
        with torch.autocast("cpu", dtype):
            found = estimate(plain, [(x, y)], Pass(), flavour).blocks
    else:
        found = estimate(copy.deepcopy(plain).to(dtype), [(x.to(dtype), y)], Pass(), flavour).blocks
    for name, block in found.items():
        assert block.dense().dtype in (torch.float32, torch.float64)
        assert block.eigenvalues().dtype == torch.float64
        trace = float(truth[name].trace())
        assert float(block.trace()) == pytest.approx(trace, rel=HALVES[dtype])
    assert all(parameter.dtype == torch.float32 for parameter in plain.parameters())


@pytest.mark.parametrize("spec", ["FC+CONV", "F-FC+CONV", "S-FC+S-CONV"])
@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_relaxed_layers_in_mixed_precision(spec, dtype):
    torch.manual_seed(3)
    source, target = Field(groups.Z2(), 2, (4, 4)), Field(groups.Z2(), 2, (2, 2))
    layer = RelaxedLayer(source, target, spec, stride=2)
    net = nn.Sequential(layer, nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)).eval()
    batches = [data(2, 4, 4, count=64)]
    truth, found = kfac(net, batches), kfac(Autocast(net, dtype).eval(), batches)
    for name, block in found.items():
        assert all(factor.dtype == torch.float32 for factor in block.factors)
        trace = float(truth[name.removeprefix("inner.")].trace())
        assert float(block.trace()) == pytest.approx(trace, rel=3 * HALVES[dtype])


def test_activations_beyond_float16_are_refused():
    """float16 ends at 65,504, where bfloat16 goes on: no infinity becomes evidence."""
    net = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 3))
    net[0].weight.data.fill_(1e5)
    batches = [data(4)]
    with pytest.raises(NumericsError, match="NaN or infinite outputs"):
        kfac(Autocast(net, torch.float16), batches)
    assert torch.isfinite(kfac(Autocast(net, torch.bfloat16), batches)["inner.0.weight"].trace())


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_predictions_in_mixed_precision(dtype):
    x, y = data(1, 3, 3, count=30)
    plain = small()
    blocks = kfac(plain, [(x, y)])
    alphas = dict.fromkeys(blocks, 1.0)
    net = Autocast(plain, dtype)
    named = {f"inner.{name}": block for name, block in blocks.items()}
    outputs, cover = Posterior(net, named, {f"inner.{k}": 1.0 for k in alphas}).covariance(x)
    truth = Posterior(plain, blocks, alphas).covariance(x)
    assert cover.dtype == outputs.dtype == torch.float32
    torch.testing.assert_close(cover, truth[1], atol=0.02, rtol=2.5 * HALVES[dtype])
