"""ASDL on relaxeq networks: its Fisher against kfac and the exact matrix; its preconditioners."""

import subprocess
import sys
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

from relaxeq import Field, RelaxedLayer, deterministic, exact_ggn, groups, kfac
from relaxeq.errors import EvidenceWarning, RelaxeqError, SiteError
from relaxeq.models import PaperNet
from relaxeq.sites import network_sites

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # asdl compiles with torch.jit at import
    import asdl
    from asdl import FisherConfig, get_fisher_maker

from relaxeq.interop.asdl import AsdlNetwork

pytestmark = pytest.mark.usefixtures("float64")
N = 5


def relaxed(spec, group, filters="pointwise"):
    space = groups.semidirect(groups.Z2(), group)
    source, target = Field(space, 1, (4, 4)), Field(space, 2, (4, 4))
    layer = RelaxedLayer(source, target, spec, filters=filters)
    return nn.Sequential(layer, nn.Tanh(), nn.Flatten(), nn.Linear(target.dim, 3)), source.shape


def torch_net(first, shape):
    size = first(torch.zeros(1, *shape)).numel()
    return nn.Sequential(first, nn.Tanh(), nn.Flatten(), nn.Linear(size, 3)), shape


NETS = {
    "FC": lambda: relaxed("FC", groups.p1()),
    "F-FC+CONV": lambda: relaxed("F-FC+CONV", groups.p1()),
    "GCONV pointwise": lambda: relaxed("CONV+GCONV", groups.p4()),
    "GCONV depthwise": lambda: relaxed("GCONV", groups.p2(), "depthwise-separable"),
    "PaperNet": lambda: (PaperNet("F-FC+CONV", 1, 3, 1, (8, 8)), (1, 8, 8)),
    "convolution with groups": lambda: torch_net(nn.Conv2d(4, 4, 3, 2, 1, groups=2), (4, 4, 4)),
    "circular convolution": lambda: torch_net(
        nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), (2, 4, 4)),
    "linear over positions": lambda: torch_net(nn.Linear(3, 2), (4, 3)),
}  # fmt: skip


def data(shape):
    return torch.randn(N, *shape), torch.arange(N) % 3


def fisher(network, x, shape, kind="fisher_exact", loss="cross_entropy"):
    config = FisherConfig(kind, [shape], loss_type=loss, data_size=N)
    maker = get_fisher_maker(network, config)
    maker.setup_model_call(network, x)
    maker.forward_and_backward()


@pytest.mark.parametrize("name", NETS)
def test_kron_is_kfac_over_n(name):
    net, shape = NETS[name]()
    x, y = data(shape)
    network = AsdlNetwork(net)
    fisher(network, x, "kron")
    ours = kfac(net, [(x, y)])
    assert network.blocks.keys() == ours.keys()
    for parameter, block in ours.items():
        assert len(network.blocks[parameter]) == block.site.shape[0]
        for b, site in enumerate(network.blocks[parameter]):
            torch.testing.assert_close(site.fisher.kron.A, block.inputs[b] * block.scale)
            torch.testing.assert_close(site.fisher.kron.B, block.outputs[b] / N)


@pytest.mark.parametrize("name", NETS)
def test_layer_wise_and_diagonal_are_the_exact_matrix(name):
    net, shape = NETS[name]()
    x, y = data(shape)
    network = AsdlNetwork(net)
    truth = exact_ggn(net, [(x, y)])
    fisher(network, x, "layer_wise")
    whole = {name: [s.fisher.data for s in sites] for name, sites in network.blocks.items()}
    fisher(network, x, "diag")
    for parameter, (_, _, site) in network_sites(net).items():
        order = torch.arange(float(truth[parameter].shape[0]))
        places = site.to_blocks(order).flatten(1).long()
        for b, index in enumerate(places):
            expected = truth[parameter][index][:, index] / N
            torch.testing.assert_close(whole[parameter][b], expected)
            found = network.blocks[parameter][b].fisher.diag.weight
            torch.testing.assert_close(found.flatten(), expected.diagonal())


def test_regression_with_unit_noise():
    net, shape = NETS["F-FC+CONV"]()
    x, _ = data(shape)
    network = AsdlNetwork(net)
    fisher(network, x, "kron", loss="mse")
    for parameter, block in kfac(net, [(x, torch.zeros(N, 3))], "regression").items():
        for b, site in enumerate(network.blocks[parameter]):
            torch.testing.assert_close(site.fisher.kron.B, block.outputs[b] / N)


def test_monte_carlo_has_the_same_inputs_and_one_draw():
    net, shape = NETS["F-FC+CONV"]()
    x, y = data(shape)
    network = AsdlNetwork(net)
    fisher(network, x, "kron", kind="fisher_mc")
    ours = kfac(net, [(x, y)])
    for parameter, block in ours.items():
        for b, site in enumerate(network.blocks[parameter]):
            torch.testing.assert_close(site.fisher.kron.A, block.inputs[b] * block.scale)
            assert not torch.allclose(site.fisher.kron.B, block.outputs[b] / N)


class TestWhereAsdlIsWrong:
    """Its own operations on plain torch layers, against kfac."""

    def both(self, name):
        net, shape = NETS[name]()
        x, y = data(shape)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            fisher(net, x, "kron")
        return net[0].fisher.kron, kfac(net, [(x, y)])["0.weight"]

    def test_linear_lacks_the_number_of_positions(self):
        theirs, ours = self.both("linear over positions")
        torch.testing.assert_close(theirs.A, 4 * ours.inputs[0] * ours.scale)
        torch.testing.assert_close(theirs.B, ours.outputs[0] / N)

    def test_convolution_pads_circular_grids_with_zeros(self):
        theirs, ours = self.both("circular convolution")
        expected = ours.inputs[0] * ours.scale
        assert (theirs.A - expected).norm() > 0.2 * expected.norm()
        torch.testing.assert_close(theirs.B, ours.outputs[0] / N)

    def test_convolution_ignores_groups(self):
        theirs, ours = self.both("convolution with groups")
        assert theirs.A.shape == (36, 36)
        assert ours.inputs.shape == (2, 18, 18)
        torch.testing.assert_close(theirs.A[:18, :18], ours.inputs[0] * ours.scale)

    @pytest.mark.filterwarnings("ignore:Using a non-full backward hook:FutureWarning")
    def test_layer_wise_preconditioning_fails_on_any_network(self):
        net = nn.Sequential(nn.Linear(3, 3))
        x, y = data((3,))
        config = asdl.PreconditioningConfig(data_size=N, damping=0.1)
        maker = asdl.LayerWiseNaturalGradientMaker(net, config, fisher_type="fisher_exact")
        outputs = maker.setup_model_call(net, x)
        maker.setup_loss_call(functional.cross_entropy, outputs, y)
        with pytest.raises(AttributeError, match="'SymMatrix' object has no attribute 'has_inv'"):
            maker.forward_and_backward()

    def test_plain_layers_agree(self):
        net = nn.Sequential(nn.Conv2d(2, 3, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3))
        x, y = data((2, 4, 4))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            fisher(net, x, "kron")
        for index in ("0", "3"):
            theirs = net[int(index)].fisher.kron
            ours = kfac(net, [(x, y)])[f"{index}.weight"]
            torch.testing.assert_close(theirs.A, ours.inputs[0] * ours.scale)
            torch.testing.assert_close(theirs.B, ours.outputs[0] / N)


MAKERS = {
    "KFAC": (asdl.KfacGradientMaker, "kron"),
    "diagonal": (asdl.DiagNaturalGradientMaker, "diag"),
}


@pytest.mark.parametrize("name", MAKERS)
def test_preconditioners_solve_with_every_block(name):
    """The gradient in `net` becomes (F_b + damping)⁻¹ g_b, solved here from ASDL's own F."""
    make, shape = MAKERS[name]
    net, size = NETS["F-FC+CONV"]()
    x, y = data(size)
    network = AsdlNetwork(net)
    fisher(network, x, shape)
    solve = {
        parameter: [solver(shape, site.fisher) for site in sites]
        for parameter, sites in network.blocks.items()
    }
    expected = {}
    plain = torch.autograd.grad(functional.cross_entropy(net(x), y), list(net.parameters()))
    for (parameter, _), gradient in zip(net.named_parameters(), plain, strict=True):
        site = network_sites(net)[parameter][2]
        parts = zip(solve[parameter], site.to_blocks(gradient), strict=True)
        solved = torch.stack([act(part) for act, part in parts])
        expected[parameter] = site.flat_from_blocks(solved).view_as(gradient)
    config = asdl.PreconditioningConfig(data_size=N, damping=DAMPING)
    maker = make(network, config, fisher_type="fisher_exact")
    outputs = maker.setup_model_call(network, x)
    maker.setup_loss_call(functional.cross_entropy, outputs, y)
    _, loss = maker.forward_and_backward()
    torch.testing.assert_close(loss, functional.cross_entropy(net(x), y))
    for parameter, value in net.named_parameters():
        torch.testing.assert_close(value.grad, expected[parameter])


DAMPING = 0.1


def solver(shape, fisher):
    if shape == "diag":
        return lambda g: g / (fisher.diag.weight + DAMPING)
    a, b = fisher.kron.A, fisher.kron.B
    ratio = (a.trace() / len(a)).sqrt() / (b.trace() / len(b)).sqrt()
    a = a + DAMPING**0.5 * ratio * torch.eye(len(a))
    b = b + DAMPING**0.5 / ratio * torch.eye(len(b))
    return lambda g: torch.linalg.solve(b, g) @ torch.linalg.inv(a)


def test_natural_gradient_descends():
    net, shape = NETS["F-FC+CONV"]()
    x, y = data(shape)
    network = AsdlNetwork(net)
    config = asdl.PreconditioningConfig(data_size=N, damping=1e-2)
    maker = asdl.KfacGradientMaker(network, config, fisher_type="fisher_exact")
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    losses = []
    for _ in range(8):
        optimizer.zero_grad()
        outputs = maker.setup_model_call(network, x)
        maker.setup_loss_call(functional.cross_entropy, outputs, y)
        losses.append(float(maker.forward_and_backward()[1].detach()))
        optimizer.step()
    assert losses[-1] < 0.5 * losses[0]


def test_the_network_itself_is_left_as_it_is():
    net, shape = NETS["PaperNet"]()
    keys = set(net.state_dict())
    x, _ = data(shape)
    network = AsdlNetwork(net)
    assert torch.equal(network(x), net(x))
    assert network.train().net.training
    assert not network.eval().net.training
    network.float()
    assert next(net.parameters()).dtype == torch.float32
    assert set(net.state_dict()) == keys
    assert {id(p) for p in network.parameters()} == {id(p) for p in net.parameters()}


def test_deterministic_parameters_get_no_gradient_from_the_fisher():
    net = nn.Sequential(
        nn.Linear(3, 4), deterministic(nn.BatchNorm1d(4)), nn.Tanh(), nn.Linear(4, 3)
    ).eval()
    x, y = data((3,))
    network = AsdlNetwork(net)
    fisher(network, x, "kron")
    assert set(network.blocks) == {"0.weight", "0.bias", "3.weight", "3.bias"}
    assert all(parameter.grad is None for parameter in net.parameters())
    assert all(parameter.requires_grad for parameter in net.parameters())
    with pytest.warns(EvidenceWarning, match="BatchNorm1d '1'"):
        ours = kfac(net, [(x, y)])["0.weight"]
    torch.testing.assert_close(network.blocks["0.weight"][0].fisher.kron.B, ours.outputs[0] / N)


def test_a_parameter_used_twice_is_refused():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x):
            return self.layer(torch.tanh(self.layer(x)))

    network = AsdlNetwork(Twice())
    with pytest.raises(
        SiteError, match=r"'layer\.weight' is used twice in one pass.*relaxeq\.kfac"
    ):
        fisher(network, torch.randn(N, 3), "kron")
    network(torch.randn(N, 3))  # without ASDL's hooks it is a network as any other


def test_a_parameter_that_is_not_used_is_refused():
    net, shape = NETS["F-FC+CONV"]()
    net[0].paths["CONV"].prior_variance = 0.0
    network = AsdlNetwork(net)
    with pytest.raises(SiteError, match=r"'0\.paths\.CONV\.theta' was not used.*requires_grad_"):
        fisher(network, data(shape)[0], "kron")
    net[0].paths["CONV"].requires_grad_(False)
    network = AsdlNetwork(net)
    fisher(network, data(shape)[0], "kron")
    assert "0.paths.CONV.theta" not in network.blocks


def test_a_parameter_without_site_is_refused():
    with pytest.raises(SiteError, match="no curvature site"):
        AsdlNetwork(nn.Sequential(nn.PReLU()))


def test_an_output_of_several_is_refused():
    class Halves(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x):
            return self.layer(x)

    net = Halves()
    net.layer.register_forward_hook(lambda m, x, z: torch.cat([z, z], 1).split(3, 1)[1])
    with pytest.raises(SiteError, match=r"output 1 of a function with several.*z\.clone"):
        fisher(AsdlNetwork(net), torch.randn(N, 3), "kron")


def test_asdls_own_layers_keep_their_operations():
    from asdl.core import get_op_class
    from asdl.operations import Conv2d, Linear

    assert get_op_class(nn.Linear(2, 2)) is Linear
    assert get_op_class(nn.Conv2d(1, 1, 1)) is Conv2d


def test_a_missing_extra_is_named():
    code = (
        "import sys; sys.modules['asdl'] = None\n"
        "from relaxeq.errors import RelaxeqError\n"
        "try: import relaxeq.interop.asdl\n"
        "except RelaxeqError as error: assert isinstance(error, ImportError); print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "distribution is called asdfghjkl: write pip install 'relaxeq[asdl]'" in done.stdout
    assert issubclass(SiteError, RelaxeqError)
