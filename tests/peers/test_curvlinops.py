"""curvlinops' Gauss–Newton operator as a second truth, which knows nothing of sites."""

import pytest
import torch
from curvlinops import GGNLinearOperator
from torch import nn

from relaxeq import Field, RelaxedLayer, exact_ggn, groups, kfac

pytestmark = [
    pytest.mark.usefixtures("float64"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning"),
]
LOSSES = {
    "classification": (nn.CrossEntropyLoss(reduction="sum"), 1.0),
    "regression": (nn.MSELoss(reduction="sum"), 0.5),
}


def relaxed(spec, group, filters="pointwise"):
    space = groups.semidirect(groups.Z2(), group)
    source, target = Field(space, 1, (4, 4)), Field(space, 2, (4, 4))
    layer = RelaxedLayer(source, target, spec, filters=filters)
    return nn.Sequential(layer, nn.Tanh(), nn.Flatten(), nn.Linear(target.dim, 3)), source.shape


NETS = {
    "F-FC+CONV": lambda: relaxed("F-FC+CONV", groups.p1()),
    "FC+GCONV": lambda: relaxed("FC+GCONV", groups.p2()),
    "GCONV, depthwise": lambda: relaxed("GCONV", groups.p2(), "depthwise-separable"),
    "S-FC+S-CONV": lambda: relaxed("S-FC+S-CONV", groups.p1()),
    "circular convolution": lambda: (
        nn.Sequential(
            nn.Conv2d(2, 3, 3, 2, 1, padding_mode="circular"), nn.Flatten(), nn.Linear(12, 3)),
        (2, 4, 4)),
    "two linear layers": lambda: (
        nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 3)), (4,)),
}  # fmt: skip


def batch(shape, likelihood, count=4):
    y = torch.arange(count) % 3 if likelihood == "classification" else torch.randn(count, 3)
    return torch.randn(count, *shape), y


def oracle(net, data, likelihood):
    """{parameter name: its diagonal block} of the whole matrix."""
    loss, factor = LOSSES[likelihood]
    named = dict(net.named_parameters())
    operator = GGNLinearOperator(net, loss, list(named.values()), [data], check_deterministic=False)
    whole, start, found = factor * (operator @ torch.eye(operator.shape[1])), 0, {}
    for name, parameter in named.items():
        part = slice(start, start + parameter.numel())
        found[name], start = whole[part, part], part.stop
    return found


@pytest.mark.parametrize("likelihood", LOSSES)
@pytest.mark.parametrize("name", NETS)
def test_exact_blocks(name, likelihood):
    net, shape = NETS[name]()
    data = batch(shape, likelihood)
    found, truth = exact_ggn(net, [data], likelihood), oracle(net, data, likelihood)
    assert found.keys() == truth.keys()
    for parameter, block in truth.items():
        torch.testing.assert_close(found[parameter], block)


EXACT = {  # where KFAC is the Gauss–Newton block itself
    "one datum": (lambda: nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 3)), 1),
    "a deep linear network": (
        lambda: nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 5), nn.Linear(5, 3)), 6),
    "a convolution with one position": (
        lambda: nn.Sequential(
            nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 3, 2), nn.Flatten(), nn.Linear(3, 3)), 6),
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_kfac_where_it_is_exact(name):
    make, count = EXACT[name]
    net = make()
    data = batch((4,), "regression", count)
    truth = oracle(net, data, "regression")
    for parameter, block in kfac(net, [data], "regression").items():
        torch.testing.assert_close(block.dense(), truth[parameter])


def test_biases_are_exact_for_any_network_and_one_datum():
    net, shape = NETS["circular convolution"]()
    data = batch(shape, "classification", 1)
    found, truth = kfac(net, [data]), oracle(net, data, "classification")
    for parameter in ("0.bias", "2.bias", "2.weight"):
        torch.testing.assert_close(found[parameter].dense(), truth[parameter])
