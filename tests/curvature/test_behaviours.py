"""What networks do besides being sums of layers: each must leave the curvature right, or say so."""

import copy
import math
import warnings

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from relaxeq import Field, RelaxedLayer, deterministic, exact_ggn, groups, kfac
from relaxeq.curvature import FLAVOURS, Pass, estimate
from relaxeq.errors import EvidenceWarning, SiteError, SpecError
from relaxeq.likelihoods import Bernoulli, Gaussian, Poisson


def data(*shape, count=6, dtype=torch.float32):
    return torch.randn(count, *shape, dtype=dtype), torch.arange(count) % 3


class TwoSteps(nn.Module):
    """A relaxed layer applied twice, then a head."""

    def __init__(self):
        super().__init__()
        field = Field(groups.Z2(), 2, (2, 2))
        self.step = RelaxedLayer(field, field, "F-FC+CONV")
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.step(torch.tanh(self.step(x)))).flatten(1))


@pytest.mark.usefixtures("float64")
def test_a_relaxed_layer_that_is_called_twice():
    """Corrections and exact blocks see the sum of both calls; KFAC counts calls as positions."""
    net, (x, y) = TwoSteps(), data(2, 2, 2, dtype=torch.float64)
    truth = exact_ggn(net, [(x, y)])
    corrected, exact = (estimate(net, [(x, y)], Pass(), f).blocks for f in ("corrected", "exact"))
    for name, matrix in truth.items():
        torch.testing.assert_close(exact[name].dense(), matrix)
        torch.testing.assert_close(corrected[name].trace(), matrix.trace())
    plain = kfac(net, [(x, y)])
    assert plain["step.paths.F-FC.theta2"].scale == pytest.approx(1 / (2 * len(x)))
    assert plain["step.paths.CONV.theta"].scale == pytest.approx(1 / (2 * 4 * len(x)))
    assert plain["head.weight"].scale == pytest.approx(1 / len(x))


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.usefixtures("float64")
def test_frozen_parameters_change_nothing_but_their_absence(flavour):
    net, (x, y) = TwoSteps(), data(2, 2, 2, dtype=torch.float64)
    whole = estimate(net, [(x, y)], Pass(), flavour).blocks
    net.step.paths["CONV"].requires_grad_(False)
    net.head.bias.requires_grad_(False)
    found = estimate(net, [(x, y)], Pass(), flavour).blocks
    assert whole.keys() - found.keys() == {"step.paths.CONV.theta", "head.bias"}
    for name, block in found.items():
        torch.testing.assert_close(block.eigenvalues(), whole[name].eigenvalues())


@pytest.mark.usefixtures("float64")
def test_dropout_follows_the_mode():
    """In evaluation mode no unit is dropped; in training mode the curvature is of drawn masks."""
    net, batches = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 3)), [data(4)]
    batches = [(x.double(), y) for x, y in batches]
    still = nn.Sequential(net[0], nn.Identity(), net[2])
    first, second = kfac(net.eval(), batches), kfac(still, batches)
    torch.testing.assert_close(first["2.weight"].dense(), second["2.weight"].dense())
    draws = [kfac(net.train(), batches)["2.weight"].inputs[0].diag() for _ in range(2)]
    assert not torch.equal(*draws)
    assert float((draws[0] == 0).sum()) == 0  # six data: no unit is dropped for all of them here
    assert net.training


def normalised(kind=nn.BatchNorm1d):
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(4, 3), deterministic(kind(3)), nn.Tanh(), nn.Linear(3, 3))
    for _ in range(20):
        net(torch.randn(64, 4) + 1)
    return net.eval()


@pytest.mark.usefixtures("float64")
def test_batch_norm_takes_its_running_statistics_and_keeps_them():
    """In evaluation mode the layer is affine: the curvature of the folded network is the same."""
    net = normalised()
    before = copy.deepcopy(net.state_dict())
    batches = [data(4, dtype=torch.float64)]
    with pytest.warns(EvidenceWarning):
        found = kfac(net, batches)
    truth = exact_ggn(net, batches)
    torch.testing.assert_close(net.state_dict(), before)
    assert found.keys() == {"0.weight", "0.bias", "3.weight", "3.bias"}
    torch.testing.assert_close(found["3.bias"].dense(), truth["3.bias"])
    norm = net[1]
    gain = norm.weight / (norm.running_var + norm.eps).sqrt()
    folded = copy.deepcopy(nn.Sequential(net[0], nn.Tanh(), net[3]))
    folded[0].weight.data = net[0].weight.data * gain[:, None]
    folded[0].bias.data = (net[0].bias - norm.running_mean) * gain + norm.bias
    scaled = kfac(folded, batches)["0.weight"].outputs
    torch.testing.assert_close(found["0.weight"].outputs, gain * scaled * gain[:, None])


@pytest.mark.parametrize("kind", [nn.BatchNorm1d, nn.LayerNorm, lambda n: nn.GroupNorm(1, n)])
def test_normalisation_is_told_once_with_what_the_evidence_then_means(kind):
    net = nn.Sequential(nn.Linear(4, 3), deterministic(kind(3)), nn.Linear(3, 3)).eval()
    with pytest.warns(
        EvidenceWarning, match=r"'1'\): weights before .* by their direction"
    ) as seen:
        kfac(net, [data(4)] * 3)
    assert len(seen) == 1
    assert "ties the data" not in str(seen[0].message)


def test_batch_norm_in_training_mode_is_told():
    net = normalised().train()
    net.append(deterministic(nn.BatchNorm1d(3)))
    with pytest.warns(EvidenceWarning, match=r"BatchNorm1d '1' and 1 more.*ties the data.*eval"):
        kfac(net, [data(4)])


def test_batch_norm_without_running_statistics_is_told_in_evaluation_mode_too():
    norm = nn.BatchNorm1d(3, affine=False, track_running_stats=False)
    net = nn.Sequential(nn.Linear(4, 3), norm, nn.Linear(3, 3)).eval()
    with pytest.warns(EvidenceWarning, match="'1'.*ties the data.*keep running statistics"):
        kfac(net, [data(4)])
    with pytest.raises(SpecError, match="no datum has a Jacobian of its own"):
        exact_ggn(net, [data(4)])


def test_instance_norm_ties_no_data():
    net = nn.Sequential(nn.Linear(4, 4), nn.InstanceNorm1d(2), nn.Flatten(), nn.Linear(8, 3))
    with pytest.warns(EvidenceWarning, match="InstanceNorm1d '1'") as seen:
        kfac(net.train(), [data(2, 4)])
    assert "ties the data" not in str(seen[0].message)


def test_weights_before_a_normalisation_have_no_scale():
    """What the warning says: outputs do not change with the weights' norm, curvature does."""
    net = nn.Sequential(
        nn.Linear(4, 3, bias=False), deterministic(nn.LayerNorm(3)), nn.Linear(3, 3)
    )
    net, batches = net.double(), [data(4, dtype=torch.float64)]
    traces, outputs = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EvidenceWarning)
        for _ in range(2):
            traces.append(float(kfac(net, batches)["0.weight"].trace()))
            outputs.append(net(batches[0][0]).detach())
            net[0].weight.data *= 10
    torch.testing.assert_close(*outputs, atol=1e-3, rtol=1e-3)
    assert traces[0] == pytest.approx(100 * traces[1], rel=1e-2)


class Checkpointed(nn.Module):
    """The middle is run again in backward passes instead of being kept."""

    def __init__(self, reentrant):
        super().__init__()
        self.first, self.middle, self.last = nn.Linear(4, 5), nn.Linear(5, 5), nn.Linear(5, 3)
        self.reentrant, self.runs = reentrant, 0

    def part(self, x):
        self.runs += 1
        return torch.tanh(self.middle(torch.tanh(x)))

    def forward(self, x):
        x = self.first(x)
        if self.reentrant is None:
            return self.last(self.part(x))
        return self.last(checkpoint(self.part, x, use_reentrant=self.reentrant))


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.usefixtures("float64")
def test_gradient_checkpointing_shows_each_site_once(flavour):
    nets = [Checkpointed(None), Checkpointed(False)]
    nets[1].load_state_dict(nets[0].state_dict())
    batches = [data(4, dtype=torch.float64)]
    plain, found = (estimate(net, batches, Pass(), flavour).blocks for net in nets)
    for name, block in plain.items():
        torch.testing.assert_close(found[name].dense(), block.dense())
    assert nets[1].runs > nets[0].runs  # it was run again


class Whole(Checkpointed):
    """All sites inside, and inputs that require grad: nothing but the check would notice."""

    def forward(self, x):
        inner = lambda z: self.last(self.part(self.first(z)))  # noqa: E731
        return checkpoint(inner, x.requires_grad_(), use_reentrant=True)


@pytest.mark.parametrize("net", [Checkpointed(True), Whole(True)], ids=["middle", "whole"])
def test_reentrant_checkpoints_are_refused(net):
    with pytest.raises(SiteError, match="use_reentrant=True.*write use_reentrant=False"):
        kfac(net, [data(4)])


TARGETS = {
    "Gaussian": (Gaussian(0.3), torch.randn(6, 3)),
    "Bernoulli": (Bernoulli(), torch.randint(0, 2, (6, 3)).double()),
    "Poisson": (Poisson(), torch.randint(0, 5, (6, 3)).double()),
}


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.usefixtures("float64")
def test_likelihoods_give_the_curvature_of_their_log_density(name):
    """A network that is linear in its parameters: Gauss–Newton is the whole Hessian of −log p."""
    likelihood, y = TARGETS[name]
    net, x = nn.Linear(4, 3), torch.randn(6, 4)
    y = y.double()

    def loss(weight):
        return -likelihood.log_likelihood(nn.functional.linear(x, weight, net.bias.detach()), y)

    hessian = torch.autograd.functional.hessian(loss, net.weight.detach()).view(12, 12)
    found = estimate(net, [(x, y)], Pass(likelihood), "exact")
    torch.testing.assert_close(found.blocks["weight"].dense(), hessian)
    assert found.log_likelihood == pytest.approx(-float(loss(net.weight.detach())))
    draws = torch.Generator().manual_seed(0)
    sampled = [
        estimate(net, [(x, y)], Pass(likelihood, "mc", draws), "exact").blocks["weight"].dense()
        for _ in range(250)
    ]
    error = (sum(sampled) / len(sampled) - hessian).norm() / hessian.norm()
    assert error < 4 / math.sqrt(len(sampled))
