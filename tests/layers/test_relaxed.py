"""RelaxedLayer: the sum of its active paths, one phase for all, priors, and every refusal."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from relaxeq import Field, RelaxedLayer, groups
from relaxeq.errors import GroupError, RelaxeqError, ShapeError, SpecError
from relaxeq.layers import polyphase

Z2, P4 = groups.planar("Z2"), groups.planar("p4")
ALL = "FC+F-FC+CONV+GCONV"


def layer(spec=ALL, group=P4, size=(4, 4), in_=1, out=2, **options):
    coarse = tuple(n // options.get("stride", 1) for n in size)
    source, target = Field(group, in_, size), Field(group, out, coarse)
    built = RelaxedLayer(source, target, spec, **options)
    for parameter in built.parameters():
        nn.init.normal_(parameter)
    return built


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.usefixtures("float64")
def test_sum_of_paths(stride):
    """Free paths go straight to the coarse grid; the others are summed and share ONE phase."""
    net = layer(stride=stride)
    x = net.source.random(6)
    fine = net.paths["CONV"](x) + net.paths["GCONV"](x)
    bound = fine if stride == 1 else polyphase(fine)
    bias = net.bias.value.repeat_interleave(4)[:, None, None]
    truth = net.paths["FC"](x) + net.paths["F-FC"](x) + bound + bias
    torch.testing.assert_close(net(x), truth)


@pytest.mark.usefixtures("float64")
def test_a_phase_per_path_would_be_another_layer():
    net = layer("CONV+GCONV", stride=2, bias=False)
    x = net.source.random(20)
    apart = polyphase(net.paths["CONV"](x)) + polyphase(net.paths["GCONV"](x))
    assert ((net(x) - apart).abs().amax((1, 2, 3)) > 0.1).float().mean() > 0.2


@pytest.mark.parametrize("off", list(itertools.product([False, True], repeat=4)))
@pytest.mark.usefixtures("float64")
def test_paths_that_are_off_are_left_out(off):
    """σ² = 0 switches a path off, whatever its weights still are."""
    net = layer(bias=False)
    x = net.source.random(2)
    truth = torch.zeros(2, 8, 4, 4)
    for silent, path in zip(off, net.paths.values(), strict=True):
        path.prior_variance = 0.0 if silent else 0.5
        truth += 0.0 if silent else path(x)
    torch.testing.assert_close(net(x), truth)
    assert net(x).shape == truth.shape
    assert [p.label for p in net.active()] == [
        name for name, silent in zip(net.paths, off, strict=True) if not silent
    ]
    torch.testing.assert_close(x.flatten(1) @ net.matrix().T, truth.flatten(1))


def test_all_off_leaves_the_bias():
    net = layer("F-FC+CONV", Z2, stride=2)
    for path in net.paths.values():
        path.prior_variance = 0.0
    y = net(net.source.random(3))
    assert torch.equal(y, net.bias.value.detach()[:, None, None].expand(3, 2, 2, 2))


@pytest.mark.usefixtures("float64")
def test_matrix_is_the_layer_without_its_bias():
    net = layer()
    basis = torch.eye(net.source.dim).view(-1, *net.source.shape)
    columns = net(basis) - net(torch.zeros_like(basis[:1]))
    torch.testing.assert_close(net.matrix(), columns.flatten(1).T)
    free = layer("FC+F-FC", stride=2)
    x = free.source.random(2)
    truth = free(x) - free.bias.value.repeat_interleave(4)[:, None, None]
    torch.testing.assert_close(x.flatten(1) @ free.matrix().T, truth.flatten(1))


def test_no_matrix_too_large_for_memory():
    wide = Field(groups.Z2(), 64, (32, 32))
    net = RelaxedLayer(wide, wide, "CONV")
    for asked in (net, net.paths["CONV"]):
        with pytest.raises(ShapeError, match=r"65,536 × 65,536 entries, .* on a smaller grid"):
            asked.matrix()


def test_paths_by_name():
    net = layer("CONV+GCONV")
    assert net.paths["CONV"].symmetry == "Z2"
    assert list(net.paths) == ["CONV", "GCONV"]
    with pytest.raises(SpecError, match="name='FC' is not a path .*: it has CONV, GCONV"):
        net.paths["FC"]
    assert net.paths.pop("CONV").label == "CONV"
    assert "CONV" not in net.paths


def test_what_is_left_when_paths_are_taken_out():
    net = layer("F-FC+CONV")
    x = net.source.random(2)
    path = net.paths.pop("F-FC")
    torch.testing.assert_close(net(x), net.bias(net.paths["CONV"](x)))
    torch.testing.assert_close(net.matrix(), net.paths["CONV"].matrix())
    net.paths.pop("CONV")
    torch.testing.assert_close(net(x), net.bias(torch.zeros_like(path(x))))
    assert not net.matrix().any()


def test_no_matrix_where_the_phase_depends_on_the_datum():
    net = layer(stride=2)
    with pytest.raises(ShapeError, match=r"matrix\(\) of a layer with stride=2.*paths\[name\]"):
        net.matrix()
    for name in ("CONV", "GCONV"):
        net.paths[name].prior_variance = 0.0
    assert net.matrix().shape == (net.target.dim, net.source.dim)


def test_prior_samples():
    net = layer("F-FC+CONV", Z2, size=(8, 8), in_=8, out=8)
    net.paths["F-FC"].prior_variance = 0.0
    net.paths["CONV"].prior_variance = 9.0
    net.bias.prior_variance = 0.0
    assert net.sample_prior_(torch.Generator().manual_seed(1)) is net
    first = net.paths["CONV"].theta.detach().clone()
    assert float(first.square().mean()) == pytest.approx(9.0, rel=0.2)
    silent = [*net.paths["F-FC"].parameters(), net.bias.value]
    assert all((p == 0).all() for p in silent)
    net.sample_prior_(torch.Generator().manual_seed(1))
    assert torch.equal(net.paths["CONV"].theta, first)


def test_initial_weights():
    """He's scale in equal shares: mean squares double, and the bias is 0."""
    generator, ratios = torch.Generator().manual_seed(0), []
    net = layer("F-FC+CONV+GCONV", size=(8, 8), in_=4, out=4)
    for _ in range(20):
        net.reset_parameters(generator)
        assert not net.bias.value.any()
        x = net.source.random(8, generator)
        ratios.append(net(x).detach().square().mean() / x.square().mean())
    assert float(torch.stack(ratios).mean()) == pytest.approx(2.0, rel=0.1)
    shares = [path(x).detach().square().mean() for path in net.paths.values()]
    assert max(shares) < 2 * min(shares)


def test_state_survives():
    net, other = layer(), layer()
    net.paths["FC"].prior_variance = 0.0
    net.paths["GCONV"].prior_variance = 0.3
    net.bias.prior_variance = 7.0
    other.load_state_dict(net.state_dict())
    x = net.source.random(2)
    assert torch.equal(other(x), net(x))
    assert [p.prior_variance for p in other.paths.values()] == [0.0, 1.0, 1.0, 0.3]
    assert other.bias.prior_variance == 7.0


def test_defaults_and_text():
    net = RelaxedLayer(Field(Z2, 1, (4, 4)), Field(Z2, 2, (4, 4)))
    assert list(net.paths) == ["F-FC", "CONV"]
    assert net.bias is not None
    assert layer(" F-FC + CONV ", Z2, bias=False).bias is None
    assert "spec='F-FC+CONV', stride=1" in repr(net)


def build(spec="F-FC+CONV", group=Z2, size=(4, 4), coarse=None, **options):
    source, target = Field(group, 1, size), Field(group, 1, coarse or size)
    return lambda: RelaxedLayer(source, target, spec, **options)


IMAGE = Field(Z2, 1, (4, 4))
REFUSED = {
    "unknown path": (build("F-FC+CONF"), r"'CONF' is not a path\. Write one or more of FC, F-FC"),
    "lower case": (build("conv"), "'conv' is not a path"),
    "empty": (build(""), "'' is not a path"),
    "dangling plus": (build("CONV+"), r"spec='CONV\+'.*'' is not a path"),
    "comma": (build("F-FC,CONV"), "'F-FC,CONV' is not a path"),
    "twice": (build("CONV+F-FC+CONV"), "names a path twice"),
    "no text": (build(7), "spec=7 must be a string"),
    "GCONV without a point group": (build("GCONV"), "GCONV needs a point group.*write CONV"),
    "stride 3": (build(stride=3), "stride=3 must be 1 or 2; stack layers"),
    "stride 0": (build(stride=0), "stride=0 must be 1 or 2"),
    "even kernel": (build(kernel_size=2), "kernel_size=2 must be a positive odd integer"),
    "negative kernel": (build(kernel_size=-1), "kernel_size=-1"),
    "true kernel": (build(kernel_size=True), "kernel_size=True must be"),
    "true stride": (build(stride=True), "stride=True must be 1 or 2"),
    "two strides": (build(stride=np.array([1, 2])), r"stride=array\(\[1, 2\]\) must be 1 or 2"),
    "size beside fields": (
        lambda: RelaxedLayer(IMAGE, IMAGE, size=(8, 8)),
        r"size=\(8, 8\), but source is a Field of size \(4, 4\): leave size out"),
    "half a kernel": (build(kernel_size=1.5), "kernel_size=1.5"),
    "kernel that wraps twice": (
        build(size=(2, 4), kernel_size=7), r"kernel_size=7 reaches 3 pixels.*\(2, 4\)"),
    "odd grid": (
        build(size=(5, 4), coarse=(2, 2), stride=2), r"cannot halve the odd grid \(5, 4\)"),
    "target not halved": (
        build(stride=2), r"target has size \(4, 4\), but stride=2 maps \(4, 4\) to \(2, 2\)"),
    "target halved": (build(coarse=(2, 2)), r"stride=1 maps \(4, 4\) to \(4, 4\): write size="),
    "two groups": (
        lambda: RelaxedLayer(IMAGE, Field(P4, 1, (4, 4))), "source has Z2, target has Z2 ⋊ p4"),
    "no field": (lambda: RelaxedLayer((1, 4, 4), IMAGE), r"source=\(1, 4, 4\) must be a relaxeq"),
    "no target": (lambda: RelaxedLayer(IMAGE, 3), "target=3 must be a relaxeq.Field"),
    "unknown filters": (build("CONV", filters="tied"), "filters='tied' is not one of full"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.usefixtures("unchecked")
def test_bad_layers(name):
    construct, message = REFUSED[name]
    with pytest.raises(SpecError, match=message):
        construct()


NET = RelaxedLayer(IMAGE, IMAGE, "F-FC+CONV")
INPUTS = {
    "channels": (torch.zeros(1, 2, 4, 4), r"x must have shape \(batch, 1, 4, 4\).*got \(1, 2, 4"),
    "grid": (torch.zeros(1, 1, 4, 6), r"got \(1, 1, 4, 6\)"),
    "no batch": (torch.zeros(1, 4, 4), r"got \(1, 4, 4\)"),
    "integers": (torch.zeros(1, 1, 4, 4).int(), "floating tensor, got torch.int32: write x.float"),
    "double": (torch.zeros(1, 1, 4, 4).double(), "x is torch.float64 on cpu, the layer is torch.f"),
    "device": (torch.zeros(1, 1, 4, 4, device="meta"), "torch.float32 on meta, the layer is"),
    "no tensor": ([[1.0]], "got list"),
}


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.usefixtures("unchecked")
def test_bad_inputs(name):
    x, message = INPUTS[name]
    with pytest.raises(ShapeError, match=message):
        NET(x)
    assert issubclass(ShapeError, RelaxeqError)


@pytest.mark.usefixtures("unchecked")
def test_numbers_of_numpy_are_taken():
    coarse = IMAGE.resized((2, 2))
    net = RelaxedLayer(IMAGE, coarse, kernel_size=np.int64(3), stride=np.int64(2), size=(4, 4))
    assert repr(net) == repr(RelaxedLayer(IMAGE, coarse, stride=2))
    assert net(IMAGE.random(1)).shape == (1, 1, 2, 2)


@pytest.mark.parametrize("spec", ["GCONV[p4]", "S-GCONV[p4]", "CONV+GCONV[p4]"])
@pytest.mark.parametrize("filters", ["full", "pointwise", "separable", "depthwise-separable"])
def test_quarter_turns_need_a_square_grid(spec, filters):
    """Fields of C8 may have any grid, its paths of p4 may not: they would state what is not so."""
    field = Field(groups.planar("C8"), 1, (8, 4))
    wanted = SpecError if "S-" in spec and "separable" in filters else GroupError
    with pytest.raises(wanted, match="p4 turns rows into columns, and the grid|has no S-GCONV"):
        RelaxedLayer(field, field, spec, filters=filters)
    kept = RelaxedLayer(field, field, spec.replace("p4", "p2"), filters="full")
    assert "Z2 ⋊ p2" in [path.symmetry for path in kept.paths.values()]
    square = field.resized((4, 4))
    assert RelaxedLayer(square, square, spec, filters="full")


@pytest.mark.parametrize("field", [IMAGE, Field(P4, 2, (4, 4))])
def test_a_bias_that_is_off_adds_nothing(field):
    net = RelaxedLayer(field, field, "CONV")
    nn.init.ones_(net.bias.value)
    x = field.random(2)
    expected = net(x) - 1
    net.bias.prior_variance = 0.0
    assert net.bias.off
    torch.testing.assert_close(net(x), expected)


@pytest.mark.usefixtures("unchecked")
def test_a_generator_is_no_number():
    for draw in (NET.sample_prior_, NET.paths["CONV"].sample_prior_):
        with pytest.raises(SpecError, match=r"generator=0 .* torch.Generator\(\).manual_seed\(0\)"):
            draw(0)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("state", [torch.tensor([1.0, 2.0]), None, "x", torch.tensor(-1.0)])
def test_a_state_that_is_no_variance(state):
    found = NET.state_dict() | {"paths.CONV._extra_state": state}
    with pytest.raises(SpecError, match="σ² of 'CONV'|prior_variance=-1.0 of path 'CONV'"):
        RelaxedLayer(IMAGE, IMAGE, "F-FC+CONV").load_state_dict(found)


def test_a_variance_without_a_precision():
    with pytest.raises(SpecError, match="1e-320 of path 'CONV' has no finite precision 1/σ²"):
        NET.paths["CONV"].prior_variance = 1e-320
