"""Layers under torch.func, under autocast, and on no data at all."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, jacfwd, jacrev, vmap

import relaxeq as rq
from relaxeq import groups
from relaxeq.errors import ShapeError

P4 = groups.planar("p4")
FIELD = rq.Field(P4, 2, (4, 4))
S3 = groups.symmetric(3)
GRID = ["FC", "F-FC", "S-FC", "CONV", "S-CONV", "NS-CONV", "GCONV", "S-GCONV", "STEER"]
SPECS = [*GRID, "CONV+GCONV[p2]+GCONV"]
VECTORS = ["FC", "F-FC", "S-FC", "MAP", "GCONV", "S-GCONV"]


def grid(spec, **options):
    return rq.RelaxedLayer(FIELD, FIELD, spec, **options)


def linear(spec):
    return rq.RelaxedLinear(S3.regular, S3.regular, (2, 2), spec)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # by jacfwd itself
@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("spec", SPECS)
def test_data_may_be_mapped_one_by_one(spec, mode, float64):
    layer, x = grid(spec).train(mode), FIELD.random(2)
    torch.testing.assert_close(vmap(lambda z: layer(z[None])[0])(x), layer(x))
    by_row = jacrev(lambda z: layer(z[None])[0])(x[0])
    torch.testing.assert_close(by_row, jacfwd(lambda z: layer(z[None])[0])(x[0]))


@pytest.mark.parametrize("spec", SPECS)
def test_gradients_of_each_datum(spec, float64):
    layer, x = grid(spec), FIELD.random(2)
    parameters = {name: p.detach() for name, p in layer.named_parameters()}

    def loss(values, z):
        return functional_call(layer, values, (z[None],)).square().sum()

    found = vmap(grad(loss), (None, 0))(parameters, x)
    layer(x).square().sum().backward()
    for name, parameter in layer.named_parameters():
        torch.testing.assert_close(found[name].sum(0), parameter.grad)


STACKS = {
    **{f"grid {spec}": (lambda spec=spec: (grid(spec, bias=False), grid(spec))) for spec in SPECS},
    **{f"vectors {spec}": (lambda spec=spec: (linear(spec), linear(spec))) for spec in VECTORS},
    "after Conv2d": lambda: (grid("F-FC"), nn.Conv2d(8, 8, 1), grid("CONV")),
    "after Linear": lambda: (linear("FC"), nn.Linear(12, 12), linear("MAP")),
}


@pytest.mark.parametrize("name", STACKS)
def test_layers_in_a_row_under_autocast(name):
    net = nn.Sequential(*STACKS[name]())
    x = net[0].source.random(3)
    expected = net(x).detach()
    with torch.autocast("cpu", torch.bfloat16):
        y = net(x)
    y.float().square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    assert (y.float() - expected).abs().max() < 0.04 * expected.abs().max()


def test_autocast_casts_no_float64():
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(ShapeError, match="x is torch.f"):
        grid("CONV")(FIELD.random(1).double())
    with pytest.raises(ShapeError, match="x is torch.bfloat16"):
        grid("CONV")(FIELD.random(1).bfloat16())


@pytest.mark.parametrize("prior", ["anchors", "lengthscales"])
@pytest.mark.parametrize("spec", SPECS)
def test_no_data(spec, prior):
    layer = grid(spec, prior=prior)
    y = layer(FIELD.random(0))
    assert y.shape == (0, *FIELD.shape)
    y.sum().backward()


@pytest.mark.parametrize("spec", VECTORS)
def test_no_vectors(spec):
    layer = linear(spec)
    y = layer(layer.source.random(0))
    assert y.shape == (0, 12)
    y.sum().backward()
