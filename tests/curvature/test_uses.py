"""A site's promise is checked: what a parameter does outside its recorded calls is refused."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from relaxeq import Field, RelaxedLayer, Site, exact_ggn, groups, kfac, register_sites
from relaxeq.curvature import FLAVOURS, Bound, Pass, Subset, estimate
from relaxeq.errors import SiteError
from relaxeq.models import PaperNet
from relaxeq.sites import Explicit, Rearranged

FIRST, LAST = torch.randn(6, 5), torch.arange(6) % 3
LOADER = [(FIRST[:4], LAST[:4]), (FIRST[4:], LAST[4:])]


class TiedByHand(nn.Module):
    """An autoencoder whose decoder is the encoder's weight, transposed."""

    def __init__(self):
        super().__init__()
        self.encoder, self.head = nn.Linear(5, 4), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(functional.linear(self.encoder(x).tanh(), self.encoder.weight.t()))


class PastTheHooks(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(5, 5), nn.Linear(5, 3)

    def forward(self, x):
        return self.head(self.first.forward(self.first(x).tanh()))


class Hyper(nn.Module):
    """Its base is called with the weights that another layer makes."""

    def __init__(self):
        super().__init__()
        self.maker, self.base = nn.Linear(5, 15), nn.Linear(5, 3)

    def forward(self, x):
        made = self.maker(x.mean(0, keepdim=True).expand_as(x))[0].view(3, 5)
        return torch.func.functional_call(self.base, {"weight": made}, x)


class Standardised(nn.Linear):
    def forward(self, x):
        return functional.linear(x, self.weight / self.weight.norm(dim=1, keepdim=True), self.bias)


class Reversed(nn.Module):
    def __init__(self):
        super().__init__()
        self.theta = nn.Parameter(torch.randn(3, 5))

    def forward(self, x):
        return x @ self.theta.T


@register_sites(Reversed)
def reversed_sites(module):
    """Wrong on purpose: the features of the input are read backwards."""
    backwards = Explicit(lambda x: x.flip(1)[:, None, None])
    return {"theta": Site(backwards, Rearranged("n o -> n 1 1 o"), (1, 3, 5))}


def hooked():
    net = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3))
    net[0].register_forward_hook(lambda module, given, z: 3 * z.tanh())
    return net


BROKEN = {
    "tied by hand": (TiedByHand, "encoder.weight"),
    "called past the hooks": (PastTheHooks, "first.weight"),
    "a hypernetwork": (Hyper, "base.weight"),
    "a subclass": (lambda: nn.Sequential(Standardised(5, 4), nn.Linear(4, 3)), "0.weight"),
    "a hook on the output": (hooked, "0.weight"),
    "a site that is wrong": (Reversed, "theta"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_parameter_that_acts_otherwise_is_refused(name, dtype):
    build, parameter = BROKEN[name]
    loader = [(x.to(dtype), y) for x, y in LOADER]
    with pytest.raises(SiteError, match=f"'{parameter}' does not act as its site says.* differ by"):
        kfac(build().to(dtype), loader)


@pytest.mark.parametrize("flavour", [*FLAVOURS, Subset(6), Bound(3, 2)], ids=str)
def test_every_flavour_refuses_it(flavour):
    with pytest.raises(SiteError, match="'encoder.weight' does not act as its site says"):
        estimate(TiedByHand(), LOADER, Pass(), flavour)


def test_convolutions_are_compared_too():
    class Equalised(nn.Conv2d):
        def forward(self, x):
            return self._conv_forward(x, 0.7 * self.weight, self.bias)

    def net(kind):
        conv = kind(2, 4, 3, padding=1)
        return nn.Sequential(
            conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
        )

    loader = [(torch.randn(8, 2, 12, 12), torch.arange(8) % 3)]
    kfac(net(nn.Conv2d), loader)
    with pytest.raises(SiteError, match="'0.weight' does not act.*differ by 43%"):
        kfac(net(Equalised), loader)


def test_a_parameter_left_out_is_free():
    net = TiedByHand()
    net.encoder.requires_grad_(False)
    assert kfac(net, LOADER).keys() == {"head.weight", "head.bias"}


def test_hooks_on_parameters_change_gradients_and_no_outputs():
    """A mask of gradients (some weights stay fixed) is no use of the parameter."""
    net, mask = nn.Linear(5, 3), torch.zeros(3, 5)
    plain = kfac(net, LOADER)["weight"].dense()
    net.weight.register_hook(lambda gradient: gradient * mask)
    assert torch.equal(kfac(net, LOADER)["weight"].dense(), plain)


def test_a_hook_hides_no_use_without_a_call():
    class Uncalled(nn.Module):
        def __init__(self):
            super().__init__()
            self.base = nn.Linear(5, 3)

        def forward(self, x):
            return functional.linear(x, self.base.weight)

    net = Uncalled()
    net.base.weight.register_hook(lambda gradient: 2 * gradient)
    with pytest.raises(
        SiteError, match="'base.weight' acts on the outputs, but its module was not"
    ):
        kfac(net, LOADER)


class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(checkpoint(lambda x: self.first(x).tanh(), x, use_reentrant=False))


def paper(spec):
    return lambda: PaperNet(spec, alpha=2, group=groups.planar("p4"))


IMAGES = [(torch.randn(5, 3, 32, 32), torch.arange(5) % 10)]
RIGHT = {
    "checkpoints": (Checkpointed, LOADER),
    "all paths": (paper("F-FC+CONV+GCONV"), IMAGES),
    "sparse": (paper("S-FC+S-CONV"), IMAGES),
    "separable": (
        lambda: PaperNet("GCONV", alpha=2, group=groups.planar("p4"), filters="separable"),
        IMAGES,
    ),
    "normed": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, affine=False), nn.Flatten(), nn.Linear(3600, 10)
        ),
        IMAGES,
    ),
}


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("low", [None, torch.bfloat16], ids=str)
@pytest.mark.filterwarnings("ignore::relaxeq.errors.EvidenceWarning")
def test_rounding_is_no_other_use(name, low):
    """In training mode a BatchNorm makes the gradient of a bias before it pure rounding."""
    build, loader = RIGHT[name]
    with torch.autocast("cpu", low or torch.bfloat16, enabled=low is not None):
        assert kfac(build().train(), loader, fisher="mc")


def test_units_that_pass_no_gradient():
    net = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    nn.init.constant_(net[0].bias, -100.0)
    assert not kfac(net, LOADER)["0.weight"].outputs.any()


def test_images_of_any_scale():
    image = Field(groups.Z2(), 2, (4, 4))
    net = nn.Sequential(RelaxedLayer(image, image, "F-FC+CONV"), nn.Flatten(), nn.Linear(32, 3))
    for scale in (1e-20, 1e-6, 1.0, 1e6):
        assert kfac(net, [(scale * image.random(6), LAST)])


@pytest.mark.parametrize("function", [kfac, exact_ggn])
def test_a_graph_that_is_lost(function):
    class Quiet(nn.Linear):
        @torch.no_grad()
        def forward(self, x):
            return super().forward(x)

    with pytest.raises(SiteError, match="no gradient leads.*torch.no_grad"):
        function(Quiet(5, 3), LOADER)
    with torch.inference_mode(), pytest.raises(SiteError, match=r"leave torch.inference_mode"):
        function(nn.Linear(5, 3), LOADER)
    with torch.no_grad():
        assert function(nn.Linear(5, 3), LOADER)


class TimeFirst(nn.Module):
    """Sequences with time on the first axis, as nn.Transformer takes them."""

    def __init__(self):
        super().__init__()
        self.step, self.head = nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.step(x.transpose(0, 1)).tanh().sum(0))


@pytest.mark.parametrize("count", [2, 3, 12])
def test_time_first_is_refused_where_it_is_as_long_as_the_batch(count):
    loader = [(torch.randn(count, count, 5), torch.arange(count) % 3)]
    with pytest.raises(SiteError, match=r"depend on \d+ rows .* batch_first=True"):
        kfac(TimeFirst(), loader)


def test_data_in_another_order_inside_are_no_mixture():
    class Backwards(nn.Sequential):
        def forward(self, x):
            return super().forward(x.flip(0)).flip(0)

    torch.manual_seed(0)
    layers = [nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)]
    found, truth = (kfac(net(*layers), LOADER) for net in (Backwards, nn.Sequential))
    for name, block in truth.items():
        torch.testing.assert_close(found[name].dense(), block.dense())
