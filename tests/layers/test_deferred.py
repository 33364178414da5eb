"""Layers whose memory comes later: made on "meta", or moved there, and filled by a state dict."""

import pytest
import torch

import relaxeq as rq
from relaxeq import groups
from relaxeq.paths import FILTERS

S3 = groups.symmetric(3)
FIELD = rq.Field(groups.planar("p4"), 2, (4, 4))
SPECS = ["FC", "F-FC", "S-FC", "CONV", "S-CONV", "NS-CONV", "S-GCONV", "STEER", "STEER[p2]"]


def grid(spec, **options):
    return lambda: rq.RelaxedLayer(FIELD, FIELD, spec, **options)


LAYERS = {
    **{spec: grid(spec, filters="full") for spec in SPECS},
    **{f"{spec} {f}": grid(spec, filters=f) for spec in ("GCONV", "GCONV[p2]") for f in FILTERS},
    "S-GCONV pointwise": grid("S-GCONV"),
    "lengthscales": grid("S-FC+S-CONV", prior="lengthscales"),
    **{
        f"vectors {spec}": lambda spec=spec: rq.RelaxedLinear(
            S3.regular, S3.regular, (2, 2), spec, bias=True
        )
        for spec in ("FC", "F-FC", "S-FC", "MAP", "GCONV", "S-GCONV")
    },
}


def moved(build):
    return build().to("meta")


def made(build):
    with torch.device("meta"):
        return build()


@pytest.mark.parametrize("start", [moved, made])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_filled_by_its_state(name, start):
    layer, other = LAYERS[name](), start(LAYERS[name])
    tensors = [*other.parameters(), *other.buffers()]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    x = layer.source.random(2)
    assert other(x.to("meta")).shape == layer(x).shape
    other.to_empty(device="cpu").load_state_dict(layer.state_dict())
    torch.testing.assert_close(other(x), layer(x))
