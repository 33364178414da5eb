"""torch.compile takes layers whole, and follows what changes."""

import pytest
import torch

import relaxeq as rq
from relaxeq import groups

P4 = groups.planar("p4")
S3 = groups.symmetric(3)
FIELD = rq.Field(P4, 2, (4, 4))
HALF = rq.Field(P4, 2, (2, 2))

LAYERS = {
    "F-FC+CONV+GCONV": lambda: rq.RelaxedLayer(FIELD, FIELD, "F-FC+CONV+GCONV"),
    "stride": lambda: rq.RelaxedLayer(FIELD, HALF, "FC+GCONV", stride=2, filters="full"),
    "separable": lambda: rq.RelaxedLayer(FIELD, FIELD, "GCONV", filters="separable"),
    "depthwise": lambda: rq.RelaxedLayer(FIELD, FIELD, "GCONV", filters="depthwise-separable"),
    "STEER": lambda: rq.RelaxedLayer(FIELD, FIELD, "CONV+STEER"),
    "linear": lambda: rq.RelaxedLinear(S3.regular, S3.regular, (2, 2), "F-FC+MAP+GCONV+FC"),
}


def compiled(layer):
    """The layer as one graph with its gradients; no compiler of C++ is needed."""
    torch.compiler.reset()
    return torch.compile(layer, backend="aot_eager", fullgraph=True)


# Tracing looks at torch's own deprecated names.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.mark.parametrize(
    ("name", "mode"), [*((name, "train") for name in LAYERS), ("F-FC+CONV+GCONV", "eval")]
)
def test_same_values_and_gradients(name, mode, float64, unchecked):
    layer = LAYERS[name]().train(mode == "train")
    x = layer.source.random(2).requires_grad_()
    fast = compiled(layer)
    with torch.no_grad():
        torch.testing.assert_close(fast(x), layer(x))
    y, truth = fast(x), layer(x)
    torch.testing.assert_close(y, truth)
    g, inputs = torch.randn_like(y), [x, *layer.parameters()]
    for one, other in zip(
        torch.autograd.grad(y, inputs, g), torch.autograd.grad(truth, inputs, g), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_new_values_of_parameters_and_priors(unchecked):
    layer = LAYERS["F-FC+CONV+GCONV"]().eval()
    x = layer.source.random(2)
    fast = compiled(layer)
    with torch.no_grad():
        fast(x)
        layer.sample_prior_()
        torch.testing.assert_close(fast(x), layer(x))
        layer.paths["F-FC"].prior_variance = 0.0
        torch.testing.assert_close(fast(x), layer(x))


def test_learned_priors_compile_nothing_anew(unchecked):
    layer, graphs = LAYERS["F-FC+CONV+GCONV"](), []
    torch.compiler.reset()
    fast = torch.compile(layer, backend=lambda graph, inputs: graphs.append(graph) or graph.forward)
    x = layer.source.random(2)
    for variance in (1.0, 0.5, 0.25):
        for path in layer.paths.values():
            path.prior_variance = variance
        fast(x)
    assert len(graphs) == 1
    layer.paths["CONV"].prior_variance = 0.0
    fast(x)
    assert len(graphs) == 2


def test_the_curvature_of_a_compiled_network_is_the_networks(unchecked):
    torch.compiler.reset()
    net = torch.nn.Sequential(
        LAYERS["F-FC+CONV+GCONV"](), torch.nn.Flatten(), torch.nn.Linear(FIELD.dim, 3)
    )
    batch = FIELD.random(4), torch.tensor([0, 1, 2, 0])
    fast = torch.compile(net, backend="aot_eager")
    truth = rq.kfac(net, [batch])
    fast(batch[0])  # compiled before a curvature is taken, and used after it
    found = rq.kfac(fast, [batch])
    assert [name.removeprefix("_orig_mod.") for name in found] == list(truth)
    for block, same in zip(found.values(), truth.values(), strict=True):
        torch.testing.assert_close(block.dense(), same.dense())
    torch.testing.assert_close(fast(batch[0]), net(batch[0]))
