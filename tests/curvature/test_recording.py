"""What a pass records: the right gradient at the right place, whatever the network does with z."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from relaxeq import Field, RelaxedLayer, exact_ggn, groups, kfac
from relaxeq.errors import SiteError
from relaxeq.paths import blockwise

pytestmark = pytest.mark.usefixtures("float64")


def data(*shape, classes=3, count=4):
    return torch.randn(count, *shape), torch.arange(count) % classes


def test_activations_in_place_change_nothing():
    """The curvature sees the gradient at the layer's output, not at the activation's."""
    x, y = data(2, 4, 4)
    found = []
    for inplace in (False, True):
        torch.manual_seed(1)
        net = nn.Sequential(
            nn.Conv2d(2, 3, 3),
            nn.ReLU(inplace=inplace),
            nn.Flatten(),
            nn.Linear(12, 4),
            nn.LeakyReLU(inplace=inplace),
            nn.Linear(4, 3),
        )
        found.append({name: block.dense() for name, block in kfac(net, [(x, y)]).items()})
    torch.testing.assert_close(*found)


class Positions(nn.Module):
    def __init__(self, fold):
        super().__init__()
        self.fold = fold
        self.first, self.head = nn.Linear(3, 2), nn.Linear(8, 3)

    def forward(self, x):
        z = self.first(x.flatten(0, 1) if self.fold else x)
        return self.head(torch.tanh(z).reshape(len(x), -1))


def test_positions_folded_into_the_batch_are_refused():
    x, y = data(4, 3)
    kfac(Positions(fold=False), [(x, y)])
    with pytest.raises(SiteError, match=r"'first.weight' maps 16 rows to 16 .* got 4 data"):
        kfac(Positions(fold=True), [(x, y)])


class Twice(nn.Module):
    """One module, called twice: its sites count the calls as positions."""

    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.first(torch.tanh(self.first(x)))))


def test_shared_modules_called_twice():
    net = Twice()
    x, y = data(3)
    gram_a, gram_g = torch.zeros(3, 3), torch.zeros(3, 3)
    for datum in x:
        z1 = net.first(datum).detach().requires_grad_()
        z2 = net.first(torch.tanh(z1))
        f = net.head(torch.tanh(z2))
        p = f.detach().softmax(0)
        hessian = torch.diag(p) - torch.outer(p, p)
        for a, z in ((datum, z1), (torch.tanh(z1).detach(), z2)):
            jac = torch.stack([torch.autograd.grad(out, z, retain_graph=True)[0] for out in f])
            gram_a += torch.outer(a, a)
            gram_g += jac.T @ hessian @ jac
    truth = torch.kron(gram_g, gram_a) / (4 * 2)
    torch.testing.assert_close(kfac(net, [(x, y)])["first.weight"].dense(), truth)


class Residual(nn.Module):
    """z is used twice: its gradient is the sum of both ways."""

    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x):
        z = self.first(x)
        return self.head(torch.tanh(z)) + z


def test_outputs_used_in_two_places():
    net, (x, y) = Residual(), data(3, count=1)
    truth = exact_ggn(net, [(x, y)])
    for name, block in kfac(net, [(x, y)]).items():
        torch.testing.assert_close(block.dense(), truth[name])


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.other = nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.first(x)


class Discarded(Unused):
    def forward(self, x):
        self.other(x)
        return self.first(x)


class Detached(Unused):
    def forward(self, x):
        with torch.no_grad():
            constant = self.other(x).sum(1, keepdim=True)
        return self.first(x) + constant


@pytest.mark.parametrize("graph", [True, False])
@pytest.mark.parametrize("kind", [Unused, Discarded, Detached])
def test_parameters_without_influence_have_zero_curvature(kind, graph):
    x, y = data(3)
    net = kind()
    with torch.set_grad_enabled(graph):  # curvature can be asked for inside an evaluation
        found, truth = kfac(net, [(x, y)]), exact_ggn(net, [(x, y)])
    for own in ("other.weight", "other.bias"):
        assert not found[own].dense().any()
        assert not truth[own].any()
        assert found[own].dense().dtype == torch.float64
        assert found[own].logdet(2.0).item() == pytest.approx(found[own].size * 0.6931471805599453)
    assert found["first.weight"].trace() > 0


class Functional(nn.Module):
    """Uses a parameter of a module without calling the module: no tap sees it."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)

    def forward(self, x):
        return functional.linear(x, self.first.weight, self.first.bias)


def test_parameters_used_without_their_module_are_refused():
    with pytest.raises(SiteError, match="'first.weight' .* its module was not called"):
        kfac(Functional(), [data(3)])


def test_tied_parameters_are_refused():
    """Two names of one parameter would count its prior and its curvature twice."""
    net = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
    net[2].weight = net[0].weight
    with pytest.raises(SiteError, match=r"'2.weight' is the same tensor as '0.weight'"):
        kfac(net, [data(3)])


def test_mode_gradients_and_parameters_stay_as_they_were():
    net = nn.Sequential(nn.Linear(3, 3), nn.Dropout(), nn.Linear(3, 3)).eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with torch.no_grad():
        kfac(net, [data(3)])
        exact_ggn(net, [data(3)])
    assert not any(module.training for module in net.modules())
    assert all(parameter.grad is None for parameter in net.parameters())
    torch.testing.assert_close(net.state_dict(), before)
    assert not net[0]._forward_hooks


def test_gradients_of_weights_are_not_computed(monkeypatch):
    """But once, where uses are checked. torch leaves out its own; F-FC's function is told so."""
    image = Field(groups.Z2(), channels=2, size=(4, 4))
    net = nn.Sequential(RelaxedLayer(image, image, "F-FC"), nn.Flatten(), nn.Linear(32, 3))
    outer, taken = blockwise._outer, []
    monkeypatch.setattr(blockwise, "_outer", lambda *given: taken.append(0) or outer(*given))
    kfac(net, [data(2, 4, 4)] * 3)
    assert len(taken) == 2  # θ1 and θ2, for the first batch
    net(data(2, 4, 4)[0]).sum().backward()
    assert len(taken) == 4


class Viewing(nn.Module):
    """Takes .view of an image, which needs pixels in the order of NCHW."""

    def __init__(self, flatten):
        super().__init__()
        self.conv, self.head, self.flatten = (
            nn.Conv2d(2, 3, 3, padding=1),
            nn.Linear(48, 3),
            flatten,
        )

    def forward(self, x):
        return self.head(self.flatten(torch.tanh(self.conv(x))))


def test_networks_that_need_pixels_in_order():
    viewing, flattening = Viewing(lambda x: x.view(len(x), -1)), Viewing(lambda x: x.flatten(1))
    flattening.load_state_dict(viewing.state_dict())
    batch = data(2, 4, 4)
    found, truth = kfac(viewing, [batch, batch]), kfac(flattening, [batch, batch])
    for name, block in truth.items():
        torch.testing.assert_close(found[name].dense(), block.dense())


def test_errors_of_a_forward_are_its_own():
    net = Viewing(lambda x: x.view(len(x), 7))
    with pytest.raises(RuntimeError, match="shape .* is invalid for input of size"):
        kfac(net, [data(2, 4, 4)])
