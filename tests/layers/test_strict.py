"""σ = 0 on the less symmetric paths makes layers and networks strictly equivariant (Eq. 8).

Groups, grids, channels, strides, σ's and weights are drawn; the truth is the action of the group on
the tensors and nothing else. An even shift halves exactly; an odd one goes to floor or ceil.
"""

import itertools
from dataclasses import replace

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from relaxeq import Field, RelaxedLayer, groups
from relaxeq.layers import Lift
from relaxeq.models import PaperNet
from relaxeq.paths import FILTERS

EXACT = 1e-10
GROUPS = [groups.planar(name) for name in ("Z2", "p4", "p4m", "pmm")]
FREE = ["", "F-FC+", "FC+", "FC+F-FC+"]
SIGMAS = st.floats(0.1, 10.0)


def generator(draw):
    return torch.Generator().manual_seed(draw(st.integers(0, 2**31)))


def strict_(draw, layer):
    """Switch all but the last, most symmetric path off and draw weights from the prior."""
    *free, last = layer.paths.values()
    for path in free:
        path.prior_variance = 0.0
    last.prior_variance = draw(SIGMAS)
    layer.bias.prior_variance = draw(SIGMAS)
    return layer.sample_prior_(generator(draw)).requires_grad_(False)


def draw_layer(draw, free=FREE, stride=None, reps=("regular", "trivial")):
    """A strict layer in float64, its paths in the order of growing symmetry."""
    group = draw(st.sampled_from(GROUPS))
    stride = stride or draw(st.sampled_from([1, 2]))
    height, width = (stride * draw(st.integers(1, 3)) for _ in range(2))
    size = (height, height if group.point_group.turns else width)
    channels, rep = st.integers(1, 3), st.sampled_from(reps)
    source = Field(group, draw(channels), size, rep=draw(rep))
    target = Field(group, draw(channels), tuple(n // stride for n in size), rep=draw(rep))
    bound = ["CONV"] if group.point_group.order == 1 else ["GCONV", "CONV+GCONV"]
    layer = RelaxedLayer(
        source,
        target,
        draw(st.sampled_from(free)) + draw(st.sampled_from(bound)),
        kernel_size=draw(st.sampled_from([1, 3])),
        stride=stride,
        filters=draw(st.sampled_from(FILTERS)),
    )
    return strict_(draw, layer.double())


def draw_element(draw, group, size):
    shift = (draw(st.integers(-size[0], size[0])), draw(st.integers(-size[1], size[1])))
    return group.element(shift, draw(st.integers(0, group.point_group.order - 1)))


def halved(shifts):
    """All that a set of shifts can become on the halved grid."""
    return {
        pair
        for dy, dx in shifts
        for pair in itertools.product({dy // 2, -(-dy // 2)}, {dx // 2, -(-dx // 2)})
    }


def error(field, a, shifts, moved, y):
    """Per datum, the least relative distance of f(a x) from (s', h) f(x) over the allowed s'."""
    images = [field.act(field.group.element(s, a.point), y) for s in shifts]
    scale = y.abs().amax((1, 2, 3)).clamp_min(1e-300)
    distances = [(moved - image).abs().amax((1, 2, 3)) / scale for image in images]
    return float(torch.stack(distances).amin(0).max())


def layer_error(layer, a, x):
    shifts = {a.shift} if layer.stride == 1 else halved({a.shift})
    return error(layer.target, a, shifts, layer(layer.source.act(a, x)), layer(x))


@given(st.data())
def test_layers(data):
    layer = draw_layer(data.draw)
    a = draw_element(data.draw, layer.source.group, layer.source.size)
    x = layer.source.random(3, generator(data.draw), torch.float64)
    assert layer_error(layer, a, x) < EXACT
    assert layer(x).abs().max() > 0


@settings(max_examples=50)
@given(st.data())
def test_even_shifts_and_turns_need_no_choice(data):
    """Where a is a shift by even numbers and any turn, f(a x) = a' f(x) with a' known before."""
    layer = draw_layer(data.draw, stride=2)
    half = draw_element(data.draw, layer.source.group, layer.target.size)
    a = layer.source.group.element(tuple(2 * s for s in half.shift), half.point)
    x = layer.source.random(3, generator(data.draw), torch.float64)
    moved, y = layer(layer.source.act(a, x)), layer(x)
    assert error(layer.target, a, {half.shift}, moved, y) < EXACT


@settings(max_examples=30)
@given(st.data())
def test_free_paths_break_layers(data):
    """σ > 0 on FC or F-FC: some generator of the group is violated clearly."""
    layer = draw_layer(data.draw, free=["F-FC+", "FC+"])
    pixels = layer.source.size[0] * layer.source.size[1]
    assume(pixels * layer.source.orientations * layer.target.orientations > 1)  # the group acts
    next(iter(layer.paths.values())).prior_variance = data.draw(SIGMAS)
    layer.paths.sample_prior_(generator(data.draw))
    x = layer.source.random(3, generator(data.draw), torch.float64)
    generators = layer.source.group.generators(layer.source.size)
    assert max(layer_error(layer, a, x) for a in generators) > 1e-3


@settings(max_examples=30)
@given(st.data())
def test_convolutions_break_turns(data):
    """σ > 0 on CONV beside GCONV: translations hold, turns and flips do not."""
    layer = draw_layer(data.draw, free=[""], reps=("regular",))
    assume("CONV" in layer.paths and "GCONV" in layer.paths)
    layer.paths["CONV"].prior_variance = data.draw(SIGMAS)
    layer.paths.sample_prior_(generator(data.draw))
    x = layer.source.random(3, generator(data.draw), torch.float64)
    errors = {a: layer_error(layer, a, x) for a in layer.source.group.generators((2, 2))}
    shifts = [value for a, value in errors.items() if a.shift != (0, 0)]
    turns = [value for a, value in errors.items() if a.shift == (0, 0)]
    assert max(shifts) < EXACT
    assert max(turns) > 1e-3


class Stack(torch.nn.Module):
    """Lift, then relaxed layers with ReLU between."""

    def __init__(self, layers):
        super().__init__()
        self.lift = Lift(replace(layers[0].source, rep="trivial"))
        self.layers = torch.nn.ModuleList(layers)

    def forward(self, x):
        x = self.lift(x)
        for layer in self.layers:
            x = torch.relu(layer(x))
        return x


def draw_stack(draw):
    group = draw(st.sampled_from(GROUPS))
    strides = draw(st.lists(st.sampled_from([1, 2]), min_size=1, max_size=4))
    size = draw(st.integers(1, 2)) * 2 ** strides.count(2)
    spec = "F-FC+CONV" if group.point_group.order == 1 else "F-FC+CONV+GCONV"
    field, built = Field(group, draw(st.integers(1, 2)), (size, size)), []
    for stride in strides:
        grid = (field.size[0] // stride,) * 2
        target = Field(group, draw(st.integers(1, 3)), grid)
        built.append(strict_(draw, RelaxedLayer(field, target, spec, stride=stride).double()))
        field = target
    return Stack(built)


@settings(max_examples=40)
@given(st.data())
def test_stacks(data):
    net = draw_stack(data.draw)
    image, last = net.lift.source, net.layers[-1].target
    a = draw_element(data.draw, image.group, image.size)
    x = image.random(3, generator(data.draw), torch.float64)
    shifts = {a.shift}
    for layer in net.layers:
        shifts = shifts if layer.stride == 1 else halved(shifts)
    assert error(last, a, shifts, net(image.act(a, x)), net(x)) < EXACT


NETWORKS = [("Z2", "F-FC+CONV", 8), ("Z2", "FC+F-FC+CONV", 16), ("p4", "F-FC+CONV+GCONV", 8)]
NETWORKS += [("p4m", "F-FC+GCONV", 8)]


def relative_change(net, a, x):
    features = net.features(x)
    moved = net.features(net.image.act(a, x))
    return float((features - moved).abs().max() / features.abs().max())


@settings(max_examples=8)
@given(st.sampled_from(NETWORKS), st.sampled_from(FILTERS), st.data())
def test_paper_networks_are_invariant(case, filters, data):
    """PaperNet ends on one pixel and a maximum over orientations: its features do not move."""
    name, spec, size = case
    group = groups.planar(name)
    net = PaperNet(spec, 2, 3, 2, (size, size), group, filters).double()
    for layer in net.layers:
        strict_(data.draw, layer)
        layer.bias.value.data.abs_()  # features that no ReLU has silenced
    a = draw_element(data.draw, group, (size, size))
    x = net.image.random(3, generator(data.draw), torch.float64)
    assert net.features(x).abs().max() > 0
    assert relative_change(net, a, x) < EXACT
    torch.testing.assert_close(net(net.image.act(a, x)), net(x), rtol=EXACT, atol=EXACT)
    first = net.layers[0]
    next(iter(first.paths.values())).prior_variance = 1.0
    first.paths.sample_prior_(generator(data.draw))
    elements = [group.element(s) for s in itertools.product(range(3), repeat=2)]
    assert max(relative_change(net, b, x) for b in elements) > 1e-6
