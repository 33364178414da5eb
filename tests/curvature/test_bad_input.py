"""Bad data, targets and networks: each an error that says what was wrong and what to write."""

import math

import pytest
import torch
from torch import nn

from relaxeq import deterministic, exact_ggn, kfac, register_sites
from relaxeq.errors import (
    DataError,
    EvidenceWarning,
    NumericsError,
    ShapeError,
    SiteError,
    SpecError,
)
from relaxeq.likelihoods import Gaussian
from relaxeq.sites import Rearranged, Site

X, Y = torch.ones(4, 3), torch.tensor([0, 1, 1, 0])
NAN, INF = torch.full((4, 3), math.nan), torch.full((4, 3), math.inf)


def linear():
    return nn.Linear(3, 2)


def diverged():
    net = linear()
    nn.init.constant_(net.bias, math.nan)
    return net


class Twice(nn.Sequential):
    """A network that returns its outputs two times."""

    def forward(self, x):
        return (super().forward(x),) * 2


LOADERS = {
    "empty": ([], "classification", DataError, "loader gave no data.*at least one"),
    "used up": (iter(()), "classification", DataError, "loader gave no data"),
    "empty batch": ([(X[:0], Y[:0])], "classification", DataError, "an empty batch"),
    "no loader": (None, "classification", DataError, "loader=None is no loader: pass a Data"),
    "no pair": ([X], "classification", DataError, r"got a Tensor: one batch is .* \[\(x, y\)\]"),
    "triple": ([(X, Y, Y)], "classification", DataError, r"got a tuple of 3: write \[\(b\[0\]"),
    "names": ([{"x": X, "y": Y}], "classification", DataError, r"dict of 2: .*\['x', 'y'\]"),
    "NaN inputs": ([(X, Y), (NAN, Y)], "classification", DataError, "inputs with NaN or inf"),
    "infinite inputs": ([(INF, Y)], "classification", DataError, "inputs with NaN or infinity"),
    "label too high": ([(X, Y + 1)], "classification", DataError, r"from 1 to 2.*has 2 outputs"),
    "label below 0": ([(X, Y - 1)], "classification", DataError, r"from -1 to 0.*0\.\.1"),
    "float labels": ([(X, Y.float())], "classification", DataError, r"int64 of shape \(4,\)"),
    "int32 labels": ([(X, Y.int())], "classification", DataError, "torch.int32.*y.long"),
    "one-hot labels": (
        [(X, torch.eye(2)[Y].long())], "classification", DataError, r"shape \(4, 2\)"),
    "too few labels": ([(X, Y[:3])], "classification", DataError, r"shape \(3,\)"),
    "target shape": ([(X, torch.ones(4, 1))], "regression", DataError, r"shape \(4, 2\), got"),
    "flat targets": ([(X, torch.ones(4))], "regression", DataError, r"of shape \(4,\)"),
    "integer targets": ([(X, torch.ones(4, 2).long())], "regression", DataError, "torch.int64"),
    "NaN targets": ([(X, NAN[:, :2])], "regression", DataError, "targets hold NaN or infinity"),
    "infinite targets": ([(X, INF[:, :2])], Gaussian(2.0), DataError, "targets hold NaN"),
    "unknown likelihood": ([(X, Y)], "hinge", SpecError, "'hinge' is not one of.*'classification'"),
}  # fmt: skip


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("measure", [kfac, exact_ggn])
@pytest.mark.usefixtures("unchecked")
def test_bad_loaders(measure, name):
    loader, likelihood, error, message = LOADERS[name]
    with pytest.raises(error, match=message):
        measure(linear(), loader, likelihood)


NETWORKS = {
    "NaN weights": (diverged, X, NumericsError, "NaN or infinite outputs.*learning rate"),
    "outputs not flat": (
        lambda: nn.Sequential(nn.Linear(3, 2), nn.Unflatten(1, (1, 2))), X, ShapeError,
        r"must return \(batch, out\), got shape \(4, 1, 2\)"),
    "scalar outputs": (
        lambda: nn.Sequential(nn.Linear(3, 1), nn.Flatten(0)), X, ShapeError, r"shape \(4,\)"),
    "two outputs": (
        lambda: Twice(linear()), X, ShapeError, r"one tensor \(batch, out\), got a tuple of 2"),
    "no module": (lambda: torch.relu, X, SiteError, r"network=<built-in.*is no torch.nn.Module"),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("measure", [kfac, exact_ggn])
@pytest.mark.usefixtures("unchecked")
def test_bad_networks(measure, name):
    build, x, error, message = NETWORKS[name]
    with pytest.raises(error, match=message):
        measure(build(), [(x, Y)])


def test_factors_that_overflow_name_the_parameter():
    """Finite outputs, but squares of inputs beyond float32."""
    net = nn.Linear(3, 2)
    nn.init.zeros_(net.weight)
    with pytest.raises(NumericsError, match="factors of 'weight' are not finite.*diverged"):
        kfac(net, [(torch.full((4, 3), 1e30), Y)])


def test_parameters_without_sites_are_named():
    net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    with pytest.raises(SiteError, match=r"'1.weight' of a BatchNorm1d.*register_sites\(Batch"):
        kfac(net, [(X, Y)])
    deterministic(net[1])
    with pytest.warns(EvidenceWarning):
        found = kfac(net, [(X, Y)])
    assert found.keys() == {"0.weight", "0.bias", "2.weight", "2.bias"}


def test_deterministic_and_frozen_parameters_are_left_out():
    net = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2))
    whole = kfac(net, [(X, Y)])
    net[0].weight.requires_grad_(False)
    deterministic(net[2], "bias")
    found = kfac(net, [(X, Y)])
    assert found.keys() == {"0.bias", "2.weight"}
    for name, block in found.items():
        torch.testing.assert_close(block.dense(), whole[name].dense())


def test_networks_without_curvature():
    """Nothing to learn a prior for: no blocks, and no error."""
    assert kfac(deterministic(linear()), [(X, Y)]) == {}
    assert kfac(linear().requires_grad_(False), [(X, Y)]) == {}


class Scale(nn.Module):
    def __init__(self, out=2):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(out, 3))

    def forward(self, x):
        return x @ self.scale.T


SITES = {
    "too few entries": (
        (1, 2, 2),
        r"'scale' has shape \(2, 3\).*\(blocks, out, in\) = \(1, 2, 2\)",
    ),
    "in and out exchanged": ((1, 3, 2), r"the site of 'scale'.*\(1, 3, 2\), .* give \(1, 2, 3\)"),
    "blocks that are not there": (
        (2, 1, 3),
        r"the site of 'scale'.*\(2, 1, 3\), .* give \(1, 2, 3\)",
    ),
}


@pytest.mark.parametrize("name", SITES)
@pytest.mark.usefixtures("unchecked")
def test_sites_that_contradict_their_parameter(name):
    shape, message = SITES[name]

    class Wrong(Scale):
        pass

    @register_sites(Wrong)
    def wrong_sites(module):
        return {"scale": Site(Rearranged("n i -> n 1 1 i"), Rearranged("n o -> n 1 1 o"), shape)}

    with pytest.raises(SiteError, match=message):
        kfac(Wrong(), [(X, Y)])
