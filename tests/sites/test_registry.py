"""The registry: users' own layers in ten lines, deterministic parameters, errors with names."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch.nn import functional

import relaxeq
from relaxeq.errors import SiteError
from relaxeq.sites import (
    Explicit,
    Rearranged,
    Site,
    bias_site,
    is_deterministic,
    listening,
    module_sites,
    network_sites,
    tap,
    tapped,
)


class Gain(nn.Module):
    """A user's layer: one gain per channel."""

    def __init__(self, channels):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels))

    def forward(self, x):
        return x * self.gain[:, None]


def test_a_layer_of_users_in_ten_lines():
    @relaxeq.register_sites(Gain)
    def gain_sites(module):
        layout = Rearranged("n c p -> n c p 1")  # a block per channel, a position per pixel
        return {"gain": Site(layout, layout, (len(module.gain), 1, 1))}

    net = nn.Sequential(Gain(3), nn.Tanh(), nn.Flatten(), nn.Linear(6, 2)).double()
    nn.init.normal_(net[0].gain)
    loader = [(torch.randn(1, 3, 2).double(), torch.tensor([1]))]
    block = relaxeq.kfac(net, loader)["0.gain"]
    truth = relaxeq.exact_ggn(net, loader)["0.gain"]
    assert block.dense().shape == truth.shape
    assert torch.equal(block.dense(), block.dense().diag().diag())
    assert block.trace() > 0


@pytest.mark.filterwarnings("ignore:net normalises:relaxeq.errors.EvidenceWarning")
def test_a_norm_layer_whose_input_is_computed():
    """LayerNorm's gain multiplies the normalised features, not the recorded ones."""

    class Norm(nn.LayerNorm):
        pass

    @relaxeq.register_sites(Norm)
    def norm_sites(module):
        size = module.weight.numel()
        normal = Explicit(lambda x: functional.layer_norm(x, (size,))[:, :, None, None])
        gain = Site(normal, Rearranged("n c -> n c 1 1"), (size, 1, 1))
        return {"weight": gain, "bias": bias_site(size)}

    net = nn.Sequential(Norm(1), nn.Linear(1, 2), Norm(2)).double()
    for parameter in net.parameters():
        nn.init.normal_(parameter)
    loader = [(torch.randn(1, 1).double(), torch.tensor([1]))]
    found, truth = relaxeq.kfac(net, loader), relaxeq.exact_ggn(net, loader)
    torch.testing.assert_close(found["0.bias"].dense(), truth["0.bias"])
    torch.testing.assert_close(found["2.bias"].dense(), truth["2.bias"])
    for own in ("0.weight", "2.weight"):
        torch.testing.assert_close(found[own].dense().diag(), truth[own].diag())


def test_subclasses_inherit_and_override():
    class Child(nn.Linear):
        pass

    child = Child(2, 3)
    assert network_sites(child).keys() == {"weight", "bias"}

    @relaxeq.register_sites(Child)
    def child_sites(module):
        return {}

    with pytest.raises(SiteError, match="'weight' of a Child"):
        network_sites(child)
    assert network_sites(nn.Linear(2, 3)).keys() == {"weight", "bias"}


def test_missing_sites_name_the_parameter_and_the_remedies():
    net = nn.Sequential(nn.Linear(2, 2), nn.ModuleDict({"norm": nn.LayerNorm(2)}))
    message = (
        r"parameter '1.norm.weight' of a LayerNorm has no curvature site.*"
        r"@relaxeq.register_sites\(LayerNorm\).*relaxeq.deterministic\(module, 'weight'\)"
    )
    with pytest.raises(SiteError, match=message):
        network_sites(net)


class Loose(nn.Module):
    """A parameter on the network itself, not in a layer."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.zeros(2))


def test_names_at_the_root():
    with pytest.raises(SiteError, match="parameter 'token' of a Loose"):
        network_sites(Loose())


def test_deterministic_all_and_by_name():
    net = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))
    assert relaxeq.deterministic(net[1]) is net[1]
    assert network_sites(net).keys() == {"0.weight", "0.bias"}
    relaxeq.deterministic(net[0], "bias")
    assert network_sites(net).keys() == {"0.weight"}
    assert module_sites(net[0]).keys() == {"weight"}
    relaxeq.deterministic(net[0], "weight")  # marks add up
    assert network_sites(net) == {}
    assert all(is_deterministic(net[0], name) for name in ("weight", "bias"))


def test_deterministic_reaches_children():
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.LayerNorm(2), Loose()))
    relaxeq.deterministic(net[1])
    assert network_sites(net).keys() == {"0.weight", "0.bias"}


def test_deterministic_refuses_unknown_names():
    with pytest.raises(SiteError, match=r"\['wieght'\] are not parameters of Linear.*'weight'"):
        relaxeq.deterministic(nn.Linear(2, 2), "wieght")
    net = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(SiteError, match=r"\['0.weight'\] are not parameters of Sequential"):
        relaxeq.deterministic(net, "0.weight")


def test_frozen_parameters_need_no_site():
    net = nn.Sequential(nn.LayerNorm(2).requires_grad_(False), nn.Linear(2, 2))
    assert network_sites(net).keys() == {"1.weight", "1.bias"}
    net[1].bias.requires_grad_(False)
    assert network_sites(net).keys() == {"1.weight"}


def test_tied_parameters_and_shared_modules():
    shared = nn.Linear(2, 2)
    assert network_sites(nn.Sequential(shared, shared)).keys() == {"0.weight", "0.bias"}
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    with pytest.raises(SiteError, match="'1.weight' is the same tensor as '0.weight'"):
        network_sites(net)


def test_taps_are_silent_unless_someone_listens():
    layer, heard = nn.Linear(2, 2), []
    x = torch.randn(3, 2)

    def hear(module, name, a, z):
        heard.append((module, name, tuple(a.shape), tuple(z.shape)))

    layer(x)
    assert heard == []
    with listening(hear):
        layer(x)  # no hook without `tapped`
        assert heard == []
        with tapped(layer):
            layer(input=x)
    assert heard == [(layer, "weight", (3, 2), (3, 2)), (layer, "bias", (3, 2), (3, 2))]
    layer(x)
    assert len(heard) == 2
    assert not layer._forward_hooks


def in_thread(function):
    """What it returns, run to its end in a thread of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def test_listeners_hear_their_own_thread_alone():
    layer, heard = nn.Linear(2, 2), []
    with tapped(layer), listening(lambda *call: heard.append(call[1])):
        in_thread(lambda: layer(torch.ones(1, 2)))
        in_thread(lambda: tap(layer, "weight", torch.ones(1), torch.ones(1)))
        assert heard == []
        layer(torch.ones(1, 2))
    assert heard == ["weight", "bias"]


def test_two_threads_record_one_network():
    """Hooks of both are there at once; each hears every call once."""
    layer, heard = nn.Linear(2, 2), []

    def record():
        own = []
        with tapped(layer), listening(lambda *call: own.append(call[1])):
            layer(torch.ones(1, 2))
        return own

    with tapped(layer), listening(lambda *call: heard.append(call[1])):
        assert in_thread(record) == ["weight", "bias"]
        layer(torch.ones(1, 2))
    assert heard == ["weight", "bias"]


def test_curvature_while_other_threads_predict():
    net = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
    loader = [(torch.randn(4, 3), torch.arange(4) % 3)] * 20
    alone = relaxeq.kfac(net, loader)
    done = threading.Event()

    def predict():
        while not done.is_set():
            net(loader[0][0])

    with ThreadPoolExecutor(3) as pool:
        pool.submit(predict)
        try:
            others = [pool.submit(relaxeq.kfac, net, loader) for _ in range(2)]
            found = [future.result() for future in others]
        finally:
            done.set()
    for blocks in found:
        for name, block in blocks.items():
            assert torch.equal(block.inputs, alone[name].inputs)
            assert torch.equal(block.outputs, alone[name].outputs)
            assert block.scale == alone[name].scale


def test_listeners_leave_when_their_block_fails():
    heard = []

    def failing():
        with listening(lambda *call: heard.append(call)):
            raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        failing()
    z = torch.ones(1)
    assert tap(nn.Identity(), "name", z, z) is z
    assert heard == []


def test_sites_check_themselves(unchecked):
    layout = Rearranged("n i -> n 1 1 i")
    for axes in ("bo", "boo", "xyz", "boib"):
        with pytest.raises(SiteError, match=f"axes='{axes}'.*permutation of 'boi'"):
            Site(layout, layout, (1, 2, 3), axes)
    with pytest.raises(SiteError, match=r"shape=\(2, 3\) of a site must be three numbers"):
        Site(layout, layout, (2, 3))  # type: ignore[arg-type]
    with pytest.raises(SiteError, match=r"\(1, 2, 3\) does not fit a parameter of shape \(5,\)"):
        Site(layout, layout, (1, 2, 3)).to_blocks(torch.zeros(5))


@pytest.mark.parametrize("marked", [0, 1])
def test_a_tied_parameter_is_deterministic_in_both_places_or_in_none(marked):
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    net[1].weight = net[0].weight
    relaxeq.deterministic(net[marked], "weight")
    message = (
        f"'{1 - marked}.weight' is the same tensor as '{marked}.weight', which is deterministic"
    )
    with pytest.raises(SiteError, match=message):
        network_sites(net)
    relaxeq.deterministic(net)
    assert network_sites(net) == {}


def test_parameters_without_a_shape_and_complex_ones_are_refused():
    with pytest.raises(SiteError, match=r"'0.weight' is lazy.*write net\(x\) once"):
        network_sites(nn.Sequential(nn.LazyLinear(3)))
    with pytest.raises(SiteError, match="'weight' is complex"):
        network_sites(nn.Linear(2, 2, dtype=torch.complex64))


def test_positions_of_both_sides_must_agree():
    per_row = Rearranged("n s i -> n 1 s i")
    one = Rearranged("n s o -> n 1 1 (s o)")
    x = torch.randn(2, 3, 4)
    with pytest.raises(SiteError, match=r"positions\) = \(2, 1, 3\) and outputs of \(2, 1, 1\)"):
        Site(per_row, one, (1, 12, 4)).sample_gradients(x, x)
