"""Curvature of a part of the data: unbiased factors, and a bound from below on the evidence."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from relaxeq import Field, RelaxedLayer, exact_ggn, groups
from relaxeq.curvature import Bound, Pass, Subset, estimate
from relaxeq.errors import DataError, SpecError
from relaxeq.evidence import Term, log_marginal_likelihood
from relaxeq.likelihoods import Gaussian

pytestmark = pytest.mark.usefixtures("float64")
Z2 = groups.Z2()


def mlp():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))


def relaxed(spec="F-FC+CONV"):
    field = Field(Z2, 1, (2, 2))
    return nn.Sequential(nn.Unflatten(1, (1, 2, 2)), RelaxedLayer(field, field, spec), nn.Tanh(),
                         nn.Flatten(), nn.Linear(4, 3))  # fmt: skip


def data(count, features=3, batch=4):
    x, y = torch.randn(count, features), torch.arange(count) % 3
    return [(x[i : i + batch], y[i : i + batch]) for i in range(0, count, batch)]


def drawn(seed, likelihood="classification", fisher="exact"):
    return Pass(likelihood, fisher, torch.Generator().manual_seed(seed))


def test_factors_of_subsets_are_unbiased():
    """The mean over draws is the factor of all data, within four standard errors."""
    net, loader = mlp(), data(9)
    truth = estimate(net, loader, Pass()).blocks
    draws = [estimate(net, loader, drawn(seed), Subset(4)).blocks for seed in range(120)]
    for name, block in truth.items():
        for side in ("inputs", "outputs"):
            found = torch.stack([getattr(each[name], side) for each in draws])
            error = found.std(0) / math.sqrt(len(draws))
            assert ((found.mean(0) - getattr(block, side)).abs() <= 4.5 * error + 1e-12).all()
        assert draws[0][name].scale == pytest.approx(block.scale)


@pytest.mark.parametrize("flavour", ["kfac", "averaged", "corrected", "diagonal", "exact"])
def test_a_subset_is_the_flavour_of_its_data_scaled(flavour):
    """All data are a subset too; a factor multiplies the matrix and its eigenvalues."""
    net, loader = relaxed(), data(12, 4)
    whole = estimate(net, loader, Pass(), flavour).blocks
    every = estimate(net, loader, drawn(1), Subset(12, flavour))
    more = estimate(net, loader, drawn(1), Subset(500, flavour))
    for name, block in whole.items():
        torch.testing.assert_close(every.blocks[name].dense(), block.dense())
        torch.testing.assert_close(more.blocks[name].dense(), block.dense())
        scaled = block.scaled(3.0)
        torch.testing.assert_close(scaled.dense(), 3.0 * block.dense())
        torch.testing.assert_close(
            scaled.eigenvalues().sort().values, 3.0 * block.eigenvalues().sort().values
        )


@pytest.mark.parametrize("flavour", [Subset(5), Bound(2, 2)], ids=str)
def test_the_likelihood_is_that_of_all_data(flavour):
    net, loader = mlp(), data(11)
    truth = estimate(net, loader, Pass())
    found = estimate(net, loader, drawn(0), flavour)
    assert (found.count, found.entries) == (truth.count, truth.entries) == (11, 33)
    assert found.log_likelihood == pytest.approx(truth.log_likelihood)


@pytest.mark.parametrize("flavour", [Subset(5), Bound(2, 2)], ids=str)
def test_draws_follow_the_generator(flavour):
    net, loader = mlp(), data(11)
    found = [
        estimate(net, loader, drawn(seed), flavour).blocks["0.weight"].eigenvalues()
        for seed in (1, 1, 2)
    ]
    torch.testing.assert_close(found[0], found[1])
    assert not torch.allclose(found[0], found[2])
    with pytest.raises(DataError, match="loader gave no data"):
        estimate(net, [], drawn(0), flavour)


@pytest.mark.parametrize("flavour", [Subset(5), Bound(2, 2)], ids=str)
def test_data_of_several_shapes_have_no_batch_in_common(flavour):
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3))
    loader = [(torch.randn(3, 2, n, n), torch.arange(3)) for n in (4, 6)]
    estimate(net, loader, Pass())
    with pytest.raises(DataError, match=r"of one shape, not \(2, 4, 4\) and \(2, 6, 6\): resize"):
        estimate(net, loader, drawn(0), flavour)


def evidence(net, found, blocks, delta):
    named = dict(net.named_parameters())
    norms = {name: float(parameter.detach().square().sum()) for name, parameter in named.items()}
    terms = {
        name: Term(block.eigenvalues(), norms[name], block.weight, block.size)
        for name, block in blocks.items()
    }
    return log_marginal_likelihood(found, terms, dict.fromkeys(terms, delta))


@settings(max_examples=30)
@given(
    build=st.sampled_from([relaxed, lambda: relaxed("FC"), lambda: relaxed("S-CONV")]),
    likelihood=st.sampled_from(["classification", Gaussian(0.3)]),
    size=st.integers(1, 4),
    batches=st.integers(1, 4),
    scale=st.sampled_from([0.3, 1.0, 3.0]),
    power=st.integers(-3, 3),
    seed=st.integers(0, 10**6),
)
def test_a_partition_of_all_data_bounds_the_exact_evidence(
    build, likelihood, size, batches, scale, power, seed
):
    torch.manual_seed(seed)
    net, count = build(), size * batches
    x, y = scale * torch.randn(count, 4), torch.arange(count) % 3
    y = y if likelihood == "classification" else nn.functional.one_hot(y, 3).double()
    truth = exact_ggn(net, [(x, y)], likelihood)
    found = estimate(net, [(x, y)], drawn(seed, likelihood), Bound(size, batches))
    exact = estimate(net, [(x, y)], Pass(likelihood), "exact")
    delta = 10.0**power
    for name, block in found.blocks.items():
        values = torch.linalg.eigvalsh(truth[name]).clamp_min(0)
        above = float(block.logdet(delta) - (values + delta).log().sum())
        assert above >= -1e-8 * len(values)
        assert float(block.trace()) == pytest.approx(float(values.sum()), rel=1e-6, abs=1e-9)
        if batches == 1:
            assert above == pytest.approx(0, abs=1e-6 * len(values))
    bound = evidence(net, found.log_likelihood, found.blocks, delta)
    assert bound <= evidence(net, exact.log_likelihood, exact.blocks, delta) + 1e-6


def test_sampled_batches_estimate_the_bound_of_all_batches_without_bias():
    """And it lies below the exact evidence on average, where a subset's lies above it."""
    net, loader = mlp(), data(24, batch=24)

    def logdet(flavour, seed):
        blocks = estimate(net, loader, drawn(seed), flavour).blocks
        return float(blocks["0.weight"].logdet(0.5))

    exact = logdet("exact", 0)

    def mean(flavour, count=60):
        values = torch.tensor([logdet(flavour, seed) for seed in range(count)])
        return float(values.mean()), float(values.std()) / math.sqrt(count)

    whole, sampled, part = mean(Bound(3, 8)), mean(Bound(3, 2)), mean(Subset(4, "exact"))
    assert abs(sampled[0] - whole[0]) < 4 * math.hypot(sampled[1], whole[1])
    assert whole[0] > exact + 4 * whole[1]
    assert part[0] < exact - 4 * part[1]


def test_a_sampled_label_bounds_nothing_so_columns_are_exact():
    net, loader = mlp(), data(8)
    exact = estimate(net, loader, drawn(3), Bound(4, 2)).blocks["2.weight"].eigenvalues()
    asked = estimate(net, loader, drawn(3, fisher="mc"), Bound(4, 2)).blocks["2.weight"]
    torch.testing.assert_close(asked.eigenvalues(), exact)


def test_parameters_that_are_never_reached_have_no_spectrum():
    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.other = nn.Linear(3, 3), nn.Linear(3, 2)

        def forward(self, x):
            return self.used(x)

    block = estimate(Unused(), data(6), drawn(0), Bound(2, 3)).blocks["other.weight"]
    assert float(block.trace()) == 0.0
    assert float(block.logdet(2.0)) == pytest.approx(6 * math.log(2.0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Subset(0), "size=0 of Subset must be a whole number"),
        (lambda: Subset(True), "size=True of Subset"),
        (lambda: Subset(3, "kfca"), "flavour='kfca' of Subset is not one of kfac"),
        (lambda: Bound(size=0), "size=0 of Bound"),
        (lambda: Bound(batches=1.5), "batches=1.5 of Bound"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_input(make, message):
    with pytest.raises(SpecError, match=message):
        make()
