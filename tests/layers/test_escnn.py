"""relaxeq's layers inside networks of escnn."""

import pytest
import torch

import relaxeq as rq
from relaxeq import groups
from relaxeq.errors import GroupError, ShapeError, SpecError
from relaxeq.paths import escnn_bridge

gspaces, nn = escnn_bridge.load()
SPACE = gspaces.rot2dOnR2(4)
IMAGE = nn.FieldType(SPACE, [SPACE.trivial_repr] * 3)
HIDDEN = nn.FieldType(SPACE, [SPACE.regular_repr] * 4)


def relaxed(into, out, spec="CONV+STEER", size=(8, 8), **options):
    return rq.RelaxedLayer(into, out, spec, size=size, **options)


def copy_weights(truth, layer):
    """Give STEER and the bias the values of an R2Conv, and switch CONV off."""
    layer.paths["CONV"].prior_variance = 0.0
    steer = layer.paths["STEER"].theta
    with torch.no_grad():
        steer.copy_(truth.weights.view_as(steer))
        layer.bias.value.copy_(truth.bias / SPACE.fibergroup.order() ** 0.5)


def test_drops_into_a_network_in_place_of_r2conv():
    def network(conv):
        return nn.SequentialModule(
            conv(IMAGE, HIDDEN),
            nn.InnerBatchNorm(HIDDEN),
            nn.ReLU(HIDDEN),
            conv(HIDDEN, HIDDEN),
            nn.ReLU(HIDDEN),
            nn.GroupPooling(HIDDEN),
        )

    plain = network(lambda a, b: nn.R2Conv(a, b, 3, padding=1, padding_mode="circular"))
    ours = network(relaxed)
    for i in (0, 3):
        torch.nn.init.normal_(plain[i].bias)
        copy_weights(plain[i], ours[i])
    x = nn.GeometricTensor(torch.randn(2, 3, 8, 8), IMAGE)
    y, truth = ours(x), plain(x)
    assert y.type == truth.type
    torch.testing.assert_close(y.tensor, truth.tensor, atol=1e-5, rtol=1e-5)
    exported = ours.export()
    torch.testing.assert_close(exported(x.tensor), ours.eval()(x).tensor)
    assert ours.evaluate_output_shape((2, 3, 8, 8)) == (2, 4, 8, 8)


def test_a_layer_of_escnn_types_is_one_of_fields():
    layer = relaxed(IMAGE, HIDDEN, "F-FC+GCONV")
    planar = groups.planar("p4")
    assert layer.source == rq.Field(planar, 3, (8, 8), rep="trivial")
    assert layer.target == rq.Field(planar, 4, (8, 8))
    assert isinstance(layer, nn.EquivariantModule)
    assert (layer.in_type, layer.out_type) == (IMAGE, HIDDEN)


def test_tensors_in_tensors_out():
    layer = relaxed(IMAGE, HIDDEN)
    x = torch.randn(2, 3, 8, 8)
    y = layer(nn.GeometricTensor(x, IMAGE))
    assert isinstance(y, nn.GeometricTensor)
    assert y.type == HIDDEN
    assert torch.equal(y.tensor, layer(x))


def test_layers_of_fields_take_geometric_tensors():
    planar = groups.planar("p4")
    image = rq.Field(planar, 3, (8, 8), rep="trivial")
    x = nn.GeometricTensor(torch.randn(2, 3, 8, 8), IMAGE)
    lifted = rq.Lift(image)(x)
    assert lifted.type == nn.FieldType(SPACE, [SPACE.regular_repr] * 3)
    pooled = rq.OrientationPool(rq.Lift(image).target)(lifted)
    assert pooled.type == IMAGE
    assert torch.equal(pooled.tensor, x.tensor)


def test_gradients_flow_and_curvature_is_found():
    layer = relaxed(IMAGE, HIDDEN, "F-FC+CONV+GCONV")
    y = layer(nn.GeometricTensor(torch.randn(2, 3, 8, 8), IMAGE))
    y.tensor.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in layer.parameters())
    head = torch.nn.Sequential(layer, torch.nn.Flatten(), torch.nn.Linear(16 * 64, 2))
    loader = [(torch.randn(3, 3, 8, 8), torch.tensor([0, 1, 1]))]
    assert set(rq.kfac(head, loader)) == {name for name, _ in head.named_parameters()}


def test_equivariant_as_escnn_sees_it():
    layer = relaxed(IMAGE, HIDDEN, "F-FC+CONV+GCONV", filters="full")
    x = nn.GeometricTensor(torch.randn(2, 3, 8, 8), IMAGE)
    for label in ("F-FC", "CONV"):
        layer.paths[label].prior_variance = 0.0
    for element in SPACE.testing_elements:
        moved, y = layer(x.transform(element)), layer(x).transform(element)
        torch.testing.assert_close(moved.tensor, y.tensor, atol=1e-5, rtol=1e-5)


def test_stride():
    layer = relaxed(IMAGE, HIDDEN, "F-FC+GCONV", stride=2)
    assert layer.target.size == (4, 4)
    assert layer.evaluate_output_shape((5, 3, 8, 8)) == (5, 16, 4, 4)


def test_errors():
    with pytest.raises(SpecError, match=r"source is an escnn field type.*write size=\(H, W\)"):
        rq.RelaxedLayer(IMAGE, HIDDEN)
    layer = relaxed(IMAGE, HIDDEN)
    with pytest.raises(GroupError, match="x is of field type .* but this layer takes"):
        layer(nn.GeometricTensor(torch.randn(2, 16, 8, 8), HIDDEN))
    with pytest.raises(ShapeError, match=r"x.tensor must have shape \(batch, 3, 8, 8\)"):
        layer(nn.GeometricTensor(torch.randn(2, 3, 9, 9), IMAGE))
