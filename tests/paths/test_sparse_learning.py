"""Sparse networks learn, report, stop and go on."""

import copy
import math

import pytest
import torch

import relaxeq as rq
from relaxeq import groups
from relaxeq.fields import Field
from relaxeq.paths import Sparse, SparseFC

SQUARE = Field(groups.Z2(), 2, (4, 4))


def digits():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(24, 1, 8, 8, generator=generator), torch.arange(24) % 3
    return [(x[:12], y[:12]), (x[12:], y[12:])]


@pytest.mark.parametrize("prior", ["anchors", "lengthscales"])
def test_networks_learn_and_report(prior, tmp_path):
    net = rq.models.PaperNet("S-FC+S-CONV", 1, 3, 1, (8, 8), prior=prior)
    options = rq.Options(burn_in=1, update_every=1, progress=False)
    result = rq.fit(net, digits(), epochs=3, options=options, run_dir=tmp_path)
    learned = {p.name for p in result.priors}
    amplitudes = {n for n in learned if n.endswith(".amplitudes")}
    assert len(amplitudes) == (0 if prior == "anchors" else 2 * len(net.layers))
    for name in ("layers.0.paths.S-FC", "layers.2.paths.S-CONV"):
        size = result.prior(name).size
        assert size == (1 if prior == "lengthscales" else net.get_submodule(name).size)
    report = rq.summary(result)
    assert {row.path for row in report.rows} == {"S-FC", "S-CONV"}
    assert math.isfinite(result.evidence)
    assert "S-FC" in str(report)
    again = rq.models.PaperNet("S-FC+S-CONV", 1, 3, 1, (8, 8), prior=prior)
    resumed = rq.fit(again, digits(), epochs=3, options=options, run_dir=tmp_path)
    assert resumed.evidence == result.evidence


def test_learned_options_are_trained_and_fixed_ones_are_not():
    for options, trained in (
        (Sparse(learn_omega=True, learn_anchors=True), True),
        (Sparse(), False),
    ):
        net = rq.models.PaperNet("S-FC", 1, 3, 1, (8, 8), prior=options)
        rq.fit(net, digits(), epochs=2, objective="map", options=rq.Options(progress=False))
        path = net.layers[0].paths["S-FC"]
        assert (path.omega.item() != 1.0) == trained
        assert hasattr(path, "z1") == trained
        if trained:
            start = torch.from_numpy(path.bases["u1"].start).float()
            assert not torch.equal(path.z1, start)


def test_a_checkpoint_of_other_options_is_refused(tmp_path):
    options = rq.Options(progress=False)
    net = rq.models.PaperNet("S-CONV", 1, 3, 1, (8, 8))
    rq.fit(net, digits(), epochs=1, objective="map", options=options, run_dir=tmp_path)
    other = rq.models.PaperNet("S-CONV", 1, 3, 1, (8, 8), prior=Sparse(basis="interpolating"))
    with pytest.raises(rq.errors.CheckpointError, match="its layers, parameters or priors differ"):
        rq.fit(other, digits(), epochs=1, objective="map", options=options, run_dir=tmp_path)


@pytest.mark.parametrize("prior", ["anchors", "lengthscales"])
def test_state_travels(prior):
    path = SparseFC(SQUARE, SQUARE, options=Sparse(prior))
    other = SparseFC(SQUARE, SQUARE, options=Sparse(prior, omega=0.5))
    path.prior_variance = 0.3
    other.load_state_dict(path.state_dict())
    x = torch.randn(2, 2, 4, 4)
    assert torch.equal(other(x), path(x))
    assert (other.omega.item(), other.prior_variance) == (1.0, 0.3)
    clone = copy.deepcopy(path)
    assert clone.holder.sites().keys() == path.holder.sites().keys()
    with torch.no_grad():
        path.anchors("u1").zero_()
    assert torch.equal(clone(x), other(x))
