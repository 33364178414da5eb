"""The order of images in memory, through convolutions and layers."""

import pytest
import torch

from relaxeq import Field, RelaxedLayer, groups
from relaxeq.layers import polyphase
from relaxeq.paths.stages.torus import torus_conv
from relaxeq.sites import channels_last, has_channels_last, in_order


def test_images_only():
    x = torch.randn(2, 3, 4, 5)
    assert has_channels_last(channels_last(x))
    assert torch.equal(channels_last(x), x)
    assert not has_channels_last(x)
    assert channels_last(vector := torch.randn(2, 3)) is vector
    assert channels_last(other := torch.empty(2, 3, 4, 5, device="meta")) is other


def test_convolutions_and_polyphase_keep_channels_last():
    y = torus_conv(torch.randn(2, 3, 4, 6), torch.randn(5, 3, 3, 3))
    assert has_channels_last(y)
    assert has_channels_last(polyphase(y))
    assert polyphase(y.contiguous()).is_contiguous()
    assert torch.equal(polyphase(y), polyphase(y.contiguous()))


@pytest.mark.parametrize("spec", ["F-FC+CONV", "FC+CONV", "CONV", "F-FC+S-CONV"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_layer_gives_the_same_whatever_the_order(spec, stride, float64):
    source = Field(groups.Z2(), channels=3, size=(4, 4))
    target = Field(groups.Z2(), channels=5, size=(4 // stride, 4 // stride))
    layer = RelaxedLayer(source, target, spec, stride=stride)
    x = source.random(6)
    last, g = channels_last(x), torch.randn(6, *target.shape)
    found = []
    for given, gradient in ((x, g), (last, g), (x, channels_last(g))):
        y = layer(given.clone(memory_format=torch.preserve_format).requires_grad_())
        found.append((y, *torch.autograd.grad(y, list(layer.parameters()), gradient)))
    assert has_channels_last(found[0][0])
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            torch.testing.assert_close(one, two)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")
def test_in_order(float64):
    x = torch.randn(2, 3, 4).mT.requires_grad_()
    y = in_order(x, (1, 2, 0))
    assert torch.equal(y, x)
    assert y.permute(1, 2, 0).is_contiguous()
    (gradient,) = torch.autograd.grad(y, x, torch.ones_like(y).contiguous())
    assert gradient.stride() == x.stride()
    assert in_order(y, (1, 2, 0)) is y
    assert torch.autograd.gradcheck(
        lambda x: in_order(x, (1, 2, 0)), x, check_forward_ad=True, check_batched_grad=True
    )
    assert torch.autograd.gradgradcheck(lambda x: in_order(x, (1, 2, 0)).square(), x)
    found = torch.vmap(lambda x: in_order(x, (1, 0)))(x)
    assert torch.equal(found, x)
