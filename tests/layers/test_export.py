"""Layers leave python: torch.export with any batch, and torch.jit.trace."""

import pytest
import torch

import relaxeq as rq
from relaxeq import groups

P4 = groups.planar("p4")
S3 = groups.symmetric(3)
FIELD = rq.Field(P4, 2, (4, 4))
HALF = rq.Field(P4, 2, (2, 2))

LAYERS = {
    "FC+F-FC+S-FC": lambda: rq.RelaxedLayer(FIELD, FIELD, "FC+F-FC+S-FC"),
    "CONV+GCONV+S-CONV": lambda: rq.RelaxedLayer(FIELD, FIELD, "CONV+GCONV+S-CONV"),
    "stride": lambda: rq.RelaxedLayer(FIELD, HALF, "F-FC+GCONV", stride=2),
    "separable": lambda: rq.RelaxedLayer(FIELD, FIELD, "GCONV", filters="separable"),
    "off": lambda: switched_off(rq.RelaxedLayer(FIELD, FIELD, "CONV")),
    "linear": lambda: rq.RelaxedLinear(S3.regular, S3.regular, (2, 2), "F-FC+MAP+GCONV+FC"),
}

# Tracing looks at torch's own deprecated names, and warns of every check of a shape.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]


def switched_off(layer):
    for path in layer.paths.values():
        path.prior_variance = 0.0
    return layer


@pytest.mark.parametrize("name", LAYERS)
def test_exported_with_any_batch(name, unchecked):
    layer = LAYERS[name]().eval()
    x = layer.source.random(3)
    batch = ({0: torch.export.Dim("batch", min=1)},)
    exported = torch.export.export(layer, (x,), dynamic_shapes=batch).module()
    for other in (x, layer.source.random(5), layer.source.random(1)):
        torch.testing.assert_close(exported(other), layer(other))


@pytest.mark.parametrize("name", LAYERS)
def test_traced(name, unchecked):
    layer = LAYERS[name]().eval()
    traced = torch.jit.trace(layer, layer.source.random(3))
    x = layer.source.random(5)
    torch.testing.assert_close(traced(x), layer(x))
