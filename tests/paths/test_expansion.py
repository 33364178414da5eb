"""Expanded weights kept in evaluation mode: never stale, and only where they save work."""

import copy
import pickle

import pytest
import torch

import relaxeq as rq
from relaxeq import groups
from relaxeq.fields import Field
from relaxeq.paths import FilterPath
from relaxeq.sites import listening

P4 = groups.planar("p4")
S3 = groups.symmetric(3)
FIELD = Field(P4, 2, (4, 4))


def grid_layer(spec="CONV+GCONV", filters="full"):
    return rq.RelaxedLayer(FIELD, FIELD, spec, filters=filters)


LAYERS = {
    "CONV": lambda: grid_layer("CONV"),
    "GCONV": lambda: grid_layer("GCONV"),
    "pointwise": lambda: grid_layer("GCONV", "pointwise"),
    "STEER": lambda: grid_layer("STEER"),
    "sum": lambda: grid_layer(),
    "sum with pointwise": lambda: grid_layer("CONV+GCONV", "pointwise"),
    "MAP": lambda: rq.RelaxedLinear(S3.regular, S3.regular, (2, 2), "MAP"),
    "Cayley": lambda: rq.RelaxedLinear(S3.regular, S3.regular, (2, 2), "GCONV"),
}
# name: what happens to the parameter p of a layer in evaluation mode
CHANGES = {
    "in place": lambda layer, p: p.mul_(2),
    "index": lambda layer, p: p.view(-1)[:1].add_(1.0),
    "new data": lambda layer, p: setattr(p, "data", p.data * 2),
    "data in place": lambda layer, p: p.data.mul_(2),
    "state_dict": lambda layer, p: layer.load_state_dict(
        {k: v * 2 if v.ndim else v for k, v in layer.state_dict().items()}
    ),
    "assigned state_dict": lambda layer, p: layer.load_state_dict(
        {k: v * 2 if v.ndim else v for k, v in layer.state_dict().items()}, assign=True
    ),
    "prior": lambda layer, p: layer.sample_prior_(),
    "optimizer": lambda layer, p: step(layer, p),
    "fused optimizer": lambda layer, p: step(layer, p, fused=True),
    "fused Adam after a forward": lambda layer, p: learn(layer),
    "vector": lambda layer, p: torch.nn.utils.vector_to_parameters(
        torch.nn.utils.parameters_to_vector(layer.parameters()) * 2, layer.parameters()
    ),
    "dtype": lambda layer, p: layer.double().float().bfloat16().float(),
}


def step(layer, p, **options):
    p.grad = torch.ones_like(p)
    torch.optim.SGD(layer.parameters(), lr=0.5, **options).step()


@torch.enable_grad()
def learn(layer):
    x = layer.source.random(2)
    layer(x).square().sum().backward()
    with torch.no_grad():
        layer(x)  # a look between the gradient and the step
    torch.optim.Adam(layer.parameters(), lr=0.5, fused=True).step()


def fresh(layer, x):
    """The output of a copy that has seen nothing yet."""
    return copy.deepcopy(layer)(x)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("change", CHANGES)
def test_changes_are_seen(name, change):
    layer = LAYERS[name]().eval()
    x = layer.source.random(2)
    with torch.no_grad():
        before = layer(x)
        assert torch.equal(layer(x), before)
        CHANGES[change](layer, next(layer.parameters()))
        after = layer(x)
        assert not torch.allclose(after, before)
        assert torch.equal(after, fresh(layer, x))


@pytest.fixture
def expansions(monkeypatch):
    """How often a filter was expanded."""
    calls = []
    kinds = {type(path.stage) for path in grid_layer("GCONV+STEER").paths.values()}
    for kind in kinds:
        original = kind.filter

        def counted(self, theta, original=original):
            calls.append(self)
            return original(self, theta)

        monkeypatch.setattr(kind, "filter", counted)
    return calls


def test_evaluation_expands_once(expansions):
    layer, x = grid_layer("GCONV").eval(), FIELD.random(2)
    with torch.no_grad():
        for _ in range(3):
            layer(x)
    assert len(expansions) == 1
    with torch.inference_mode():
        layer(x)
    assert len(expansions) == 1
    layer.train()
    with torch.no_grad():
        layer(x)
        layer(x)
    assert len(expansions) == 3


def test_several_paths_expand_once(expansions):
    layer, x = grid_layer("GCONV+STEER+CONV").eval(), FIELD.random(2)
    with torch.no_grad():
        layer(x)
        count = len(expansions)
        layer(x)
        assert len(expansions) == count
        layer.paths["STEER"].prior_variance = 0.0
        torch.testing.assert_close(layer(x), fresh(layer, x))


def test_equal_numbers_of_another_path_are_not_taken_for_its_own():
    """Two paths of one shape and equal numbers: which of them is off changes the sum."""
    field = Field(groups.planar("pmm"), 2, (4, 4))
    layer = rq.RelaxedLayer(field, field, "CONV+GCONV[p2]+GCONV[pm]", filters="full").eval()
    first, second = list(layer.paths.values())[1:]
    x = field.random(2)
    with torch.no_grad():
        first.theta.copy_(second.theta)
        for off in (first, second):
            first.prior_variance = second.prior_variance = 1.0
            off.prior_variance = 0.0
            assert torch.equal(layer(x), fresh(layer, x))


def test_gradients_are_never_lost(expansions):
    layer, x = grid_layer("GCONV").eval(), FIELD.random(2)
    with torch.no_grad():
        layer(x)
    for _ in range(2):  # a second graph must not lean on the first
        layer(x).sum().backward()
    assert layer.paths["GCONV"].theta.grad.abs().sum() > 0
    layer.requires_grad_(False)
    x.requires_grad_()
    layer(x).sum().backward()
    count = len(expansions)
    layer(x).sum().backward()
    assert len(expansions) == count
    assert x.grad.abs().sum() > 0


def test_values_made_in_inference_mode_serve_gradients():
    layer, x = grid_layer("GCONV").eval().requires_grad_(False), FIELD.random(2)
    with torch.inference_mode():
        layer(x)
    x.requires_grad_()
    layer(x).sum().backward()
    assert x.grad.abs().sum() > 0


def test_parameters_made_in_inference_mode():
    with torch.inference_mode():
        layer = grid_layer("GCONV").eval()
        x = FIELD.random(2)
        before = layer(x)
        layer.paths["GCONV"].theta.mul_(2)
        assert not torch.allclose(layer(x), before)


@pytest.mark.parametrize("name", ["GCONV", "sum", "MAP"])
def test_copies_do_not_share(name):
    layer = LAYERS[name]().eval()
    x = layer.source.random(2)
    with torch.no_grad():
        before = layer(x)
        twins = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))]
        for twin in twins:
            next(twin.parameters()).mul_(2)
            assert not torch.allclose(twin(x), before)
        assert torch.equal(layer(x), before)


@pytest.mark.parametrize("name", LAYERS)
def test_functional_parameters_are_used(name):
    layer = LAYERS[name]().eval()
    x = layer.source.random(2)
    doubled = {k: v * 2 for k, v in layer.named_parameters()}
    with torch.no_grad():
        before = layer(x)
        found = torch.func.functional_call(layer, doubled, x)
    torch.testing.assert_close(found, 2 * before)


def test_autocast_leaves_no_half_precision_behind():
    layer = rq.RelaxedLinear(S3.regular, S3.regular, (2, 2), "MAP").eval()
    x = layer.source.random(2)
    with torch.no_grad():
        with torch.autocast("cpu", torch.bfloat16):
            assert layer(x).dtype == torch.bfloat16
        assert layer(x).dtype == torch.float32
        torch.testing.assert_close(layer(x), fresh(layer, x))


def test_state_dict_does_not_depend_on_the_mode():
    layer, x = grid_layer("F-FC+CONV+GCONV"), FIELD.random(2)
    before = list(layer.state_dict())
    with torch.no_grad():
        layer.eval()(x)
    assert list(layer.state_dict()) == before


@pytest.mark.parametrize("filters", ["full", "pointwise", "separable"])
@pytest.mark.parametrize("part", ["p4", "p2"])
def test_convolutions_of_a_layer_are_one(filters, part, float64):
    """Output, gradients and recorded gradients are those of the separate paths."""
    layer = grid_layer(f"F-FC+CONV+GCONV[{part}]+STEER", filters)
    x = FIELD.random(2)
    truth = layer.bias(sum(path(x) for path in layer.paths.values()))
    calls = {}
    with listening(lambda module, name, a, z: calls.setdefault((module, name), (a, z))):
        y = layer(x)
    torch.testing.assert_close(y, truth)
    cotangent = torch.randn_like(y)
    parameters = list(layer.parameters())
    found = torch.autograd.grad(y, parameters, cotangent, retain_graph=True)
    for one, other in zip(found, torch.autograd.grad(truth, parameters, cotangent), strict=True):
        torch.testing.assert_close(one, other)
    for path in layer.paths.values():
        for name, site in path.sites().items():
            a, z = calls[path, name]
            g, expected = torch.autograd.grad(
                y, (z, path.get_parameter(name)), cotangent, retain_graph=True
            )
            rebuilt = site.flat_from_blocks(site.sample_gradients(a, g).sum(0))
            torch.testing.assert_close(rebuilt, expected.flatten())


def test_a_path_with_a_hook_is_called():
    layer, seen = grid_layer("CONV+GCONV"), []
    layer.paths["CONV"].register_forward_hook(lambda module, inputs, output: seen.append(module))
    layer(FIELD.random(1))
    assert seen == [layer.paths["CONV"]]


@pytest.mark.parametrize("filters", ["full", "pointwise"])
@pytest.mark.parametrize("part", ["p4", "p2"])
def test_dense_filter_of_each_path(filters, part, float64):
    path = grid_layer(f"GCONV[{part}]", filters).paths[f"GCONV[{part}]"]
    assert isinstance(path, FilterPath)
    x = FIELD.random(2)
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1), mode="circular")
    torch.testing.assert_close(torch.nn.functional.conv2d(padded, path.filter()), path(x))
