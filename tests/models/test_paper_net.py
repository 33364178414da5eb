"""PaperNet against Table 6 and the parameter counts that the paper prints."""

import numpy as np
import pytest
import torch
from torch import nn

import relaxeq.paths.fc
from relaxeq import Field, groups
from relaxeq.errors import ShapeError, SpecError
from relaxeq.layers import polyphase
from relaxeq.models import PaperNet

Z2, P4, P4M = (groups.planar(name) for name in ("Z2", "p4", "p4m"))
# Table 6 at 32×32: input grid, output grid, channels in and out as multiples of α (0: the image).
LAYERS = [
    (32, 32, 0, 1), (32, 16, 1, 2), (16, 16, 2, 2), (16, 8, 2, 4),
    (8, 8, 4, 4), (8, 4, 4, 8), (4, 2, 8, 8), (2, 1, 8, 16),
]  # fmt: skip


def count(net):
    return sum(parameter.numel() for parameter in net.parameters())


def by_hand(alpha, *parts):
    """Σ_layers Σ_parts part(C', C, P', P) + C' biases, then 16α → 64α → 10 with biases."""
    total = 64 * alpha * (16 * alpha + 1) + 10 * (64 * alpha + 1)
    for fine, coarse, into, out in LAYERS:
        c, c1 = into * alpha or 3, out * alpha
        total += sum(part(c1, c, coarse**2, fine**2) for part in parts) + c1
    return total


def conv(c1, c, coarse, fine):
    return c1 * c * 9


def full(c1, c, coarse, fine):
    return c1 * coarse * c * fine


def factored(c1, c, coarse, fine):
    return c1 * c * (coarse + fine)


def factored_p4(c1, c, coarse, fine):
    return 16 * factored(c1, c, coarse, fine)


COUNTS = {
    "CONV": ({"spec": "CONV"}, by_hand(10, conv), 338_770),
    "FC": ({"spec": "FC"}, by_hand(10, full), 133.6e6),
    "F-FC": ({"spec": "F-FC"}, by_hand(10, factored), 1.5e6),
    "F-FC+CONV": ({"spec": "F-FC+CONV"}, by_hand(10, factored, conv), 1.8e6),
    # The paper prints 133.9 M; 133.84 M are the weights, and one bias per channel.
    "FC+CONV": ({"spec": "FC+CONV"}, by_hand(10, full, conv), 133.8e6),
    "GCONV full, α = 10": (
        {"spec": "GCONV", "group": P4, "filters": "full"},
        by_hand(10, lambda *sizes: 4 * conv(*sizes)),
        1_025_380,
    ),
    "GCONV full, α = 6": (
        {"spec": "GCONV", "group": P4, "filters": "full", "alpha": 6},
        by_hand(6, lambda *sizes: 4 * conv(*sizes)),
        371_200,
    ),
    "GCONV pointwise": ({"spec": "GCONV", "group": P4}, by_hand(10, conv), 338_770),
    "Table 3": (
        {"spec": "F-FC+CONV+GCONV", "group": P4, "alpha": 2},
        by_hand(2, factored_p4, lambda *sizes: 16 * conv(*sizes), conv),
        1.2e6,
    ),
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts(name, monkeypatch):
    options, written, printed = COUNTS[name]
    monkeypatch.setattr(relaxeq.paths.fc, "draw_normal", lambda *arguments: None)  # 133 M draws
    with torch.device("meta"):
        found = count(PaperNet(**options))
    assert found == written
    assert found == printed or round(found / 1e6, 1) == printed / 1e6


@pytest.mark.parametrize(("size", "depth", "width"), [(32, 8, 16), (16, 7, 8), (8, 6, 8)])
def test_architecture(size, depth, width):
    net = PaperNet("F-FC+CONV", in_channels=2, classes=7, alpha=3, size=(size, size))
    assert len(net.layers) == depth
    fields = [layer.source for layer in net.layers] + [net.out_field]
    expected = [(2, size)] + [(3 * out, coarse * size // 32) for _, coarse, _, out in LAYERS]
    assert fields[-1].size == (1, 1)
    for (channels, grid), field in zip(expected, fields, strict=False):
        assert (field.channels, field.size) == (channels, (max(grid, 1), max(grid, 1)))
    assert net.out_field.channels == 3 * width
    assert (net.hidden.in_features, net.hidden.out_features) == (3 * width, 192)
    assert (net.head.in_features, net.head.out_features) == (192, 7)
    assert net(torch.randn(4, 2, size, size)).shape == (4, 7)


@pytest.mark.usefixtures("float64")
def test_forward_is_the_plain_network_of_its_filters():
    """CONV on Z2: circular conv2d, polyphase, ReLU, then two linear layers, written out."""
    net = PaperNet("CONV", in_channels=2, classes=3, alpha=2, size=(8, 8))
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.5)
    x = torch.randn(5, 2, 8, 8)
    y = x
    for layer, stride in zip(net.layers, (1, 2, 1, 2, 1, 2), strict=True):
        weight = layer.paths["CONV"].theta.view(-1, y.shape[1], 3, 3)
        wrapped = nn.functional.pad(y, (1, 1, 1, 1), mode="circular")
        y = nn.functional.conv2d(wrapped, weight)
        y = polyphase(y) if stride == 2 else y
        y = torch.relu(y + layer.bias.value[:, None, None])
    y = net.head(torch.relu(net.hidden(y.flatten(1))))
    torch.testing.assert_close(net(x), y)


@pytest.mark.usefixtures("float64")
def test_orientations_of_the_input_and_the_output():
    """Images are repeated over orientations, and the last maximum is taken over them."""
    net = PaperNet("CONV+GCONV", in_channels=2, classes=3, alpha=2, size=(8, 8), group=P4)
    x = torch.randn(5, 2, 8, 8)
    y = torch.stack([x[:, c] for c in range(2) for _ in range(4)], 1)
    for layer in net.layers:
        y = torch.relu(layer(y))
    assert y.shape == (5, 16 * 4, 1, 1)
    pooled = torch.stack([y[:, 4 * c : 4 * c + 4, 0, 0].max(1).values for c in range(16)], 1)
    torch.testing.assert_close(net.features(x), pooled)


def test_initial_features_keep_their_scale():
    """He's scale: eight layers neither silence nor blow up, for every spec."""
    for spec, group in (("CONV", Z2), ("F-FC+CONV", Z2), ("F-FC+CONV+GCONV", P4)):
        net = PaperNet(spec, alpha=4, group=group, size=(16, 16))
        features = net.features(torch.randn(16, 3, 16, 16))
        assert 0.05 < float(features.detach().square().mean()) < 20


def test_training_reaches_every_parameter():
    net = PaperNet("F-FC+CONV+GCONV", in_channels=1, classes=3, alpha=2, size=(8, 8), group=P4)
    nn.functional.cross_entropy(net(torch.randn(32, 1, 8, 8)), torch.arange(32) % 3).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_state_survives():
    nets = [PaperNet("F-FC+CONV", alpha=1, size=(8, 8)) for _ in range(2)]
    nets[0].layers[2].paths["CONV"].prior_variance = 0.0
    nets[1].load_state_dict(nets[0].state_dict())
    x = torch.randn(3, 3, 8, 8)
    assert torch.equal(nets[0](x), nets[1](x))
    assert nets[1].layers[2].paths["CONV"].off


REFUSED = {
    "spec": ({"spec": "F-FC+CONF"}, "'CONF' is not a path"),
    "no channels": ({"in_channels": 0}, "in_channels=0 must be a positive integer"),
    "no classes": ({"classes": 0}, "classes=0 must be"),
    "half a width": ({"alpha": 0.5}, "alpha=0.5 must be"),
    "size": ({"size": (28, 28)}, r"size=\(28, 28\) of PaperNet must be \(8, 8\), \(16, 16\) or"),
    "oblong": ({"size": (16, 32)}, r"size=\(16, 32\)"),
    "sizes of numpy": ({"size": np.array([8, 8])}, r"size=array\(\[8, 8\]\) of PaperNet must"),
    "true width": ({"alpha": True}, "alpha=True must be"),
    "one size": ({"size": 32}, "size=32 of PaperNet must be"),
    "GCONV on Z2": ({"spec": "GCONV"}, "GCONV needs a point group"),
    "filters": ({"filters": "tied"}, "filters='tied' is not one of"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.usefixtures("unchecked")
def test_bad_networks(name):
    options, message = REFUSED[name]
    with pytest.raises(SpecError, match=message):
        PaperNet(**{"alpha": 1, "size": (8, 8)} | options)


@pytest.mark.usefixtures("unchecked")
def test_numbers_of_numpy_are_taken():
    two, ten = np.int64(2), np.int64(10)
    net = PaperNet(in_channels=two, classes=ten, alpha=two, size=(8, 8))
    assert repr(net) == repr(PaperNet(in_channels=2, classes=10, alpha=2, size=(8, 8)))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(1, 1, 8, 8), r"x must have shape \(batch, 3, 8, 8\).*got \(1, 1, 8, 8\)"),
        (torch.zeros(1, 3, 16, 16), r"got \(1, 3, 16, 16\)"),
        (torch.zeros(3, 8, 8), r"got \(3, 8, 8\)"),
        (torch.zeros(1, 3, 8, 8).byte(), "floating tensor, got torch.uint8"),
        (torch.zeros(1, 3, 8, 8).double(), "x is torch.float64 on cpu, the layer is torch.float32"),
    ],
)
def test_bad_images(x, message):
    with pytest.raises(ShapeError, match=message):
        PaperNet(alpha=1, size=(8, 8))(x)


def test_image_field():
    net = PaperNet(alpha=1, size=(8, 8), group=P4M, spec="GCONV")
    assert net.image == Field(P4M, 3, (8, 8), rep="trivial")
