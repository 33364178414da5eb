"""Pictures of sparse filters: dots are anchors, planes are s = Σ u φ and the weights."""

import math

import numpy as np
import pytest
import torch
from jaxtyping import config

import relaxeq as rq
from relaxeq import groups
from relaxeq.errors import SpecError
from relaxeq.fields import Field
from relaxeq.paths import PositionConv, Sparse, SparseFC, Vectors, dense_weights
from relaxeq.report import plot_sparse, sparse_figure

Z2 = groups.Z2()
P4 = groups.semidirect(Z2, groups.p4())


def layer(spec="S-FC+S-CONV", planar=Z2, size=(4, 6), **options):
    field = Field(planar, 2, size)
    return rq.RelaxedLayer(field, Field(planar, 3, size), spec, **options)


def panels(figure):
    """Rows of (anchors, between, weights), without the scales of colour."""
    shown = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    return [shown[k : k + 3] for k in range(0, len(shown), 3)]


@pytest.mark.parametrize("name", ["S-FC", "S-CONV"])
def test_panels_are_the_anchors_and_weights_of_the_pair(name):
    path = layer().paths[name]
    rows = panels(sparse_figure(path, (2, 1)))
    assert len(rows) == len(path.bases)
    for (left, middle, right), factor in zip(rows, path.bases, strict=True):
        dots = left.collections[-1]
        np.testing.assert_allclose(dots.get_offsets(), path.locations(factor).numpy()[:, ::-1])
        u = path.anchors(factor)[2, 1].detach().numpy()
        np.testing.assert_allclose(dots.get_array(), u)
        weights = dense_weights(path)[factor][2, 1].numpy()
        shape = (3, 3) if name == "S-CONV" else (4, 6)
        np.testing.assert_allclose(right.images[0].get_array(), weights.reshape(shape), rtol=1e-6)
        assert middle.images[0].get_clim() == right.images[0].get_clim()
        low, high = dots.get_clim()
        assert -low == high == pytest.approx(np.abs(u).max())


def test_the_plane_between_is_the_formula():
    """Rows and columns of the window −1.5 to 1.5, 16 points per tap."""
    path = layer(prior=Sparse(omega=0.8)).paths["S-CONV"]
    ((_, middle, _),) = panels(sparse_figure(path))
    found = middle.images[0].get_array()
    assert found.shape == (48, 48)
    u = path.u[0, 0].tolist()
    for i, j in [(0, 0), (7, 40), (24, 24), (47, 30)]:
        y, x = -1.5 + (i + 0.5) / 16, -1.5 + (j + 0.5) / 16
        at = [(y - a) ** 2 + (x - b) ** 2 for a, b in path.locations("u").tolist()]
        s = sum(v * math.exp(-0.64 * square) for v, square in zip(u, at, strict=True))
        assert found[i, j] == pytest.approx(s, abs=1e-6)
    assert middle.images[0].get_extent() == [-1.5, 1.5, 1.5, -1.5]


@pytest.mark.parametrize("basis", ["exponential", "interpolating"])
def test_weights_lie_on_the_plane_between(basis):
    path = layer(prior=Sparse(basis=basis, per_pair=True, design="halton")).paths["S-FC"]
    with torch.no_grad():
        path.omega.uniform_(0.2, 0.6)
    for _, middle, right in panels(sparse_figure(path, (1, 0))):
        fine, weights = middle.images[0].get_array(), right.images[0].get_array()
        around = np.stack([fine[8 + a :: 16, 8 + b :: 16] for a in (-1, 0) for b in (-1, 0)])
        np.testing.assert_allclose(around.mean(0), weights, atol=0.01 * np.abs(weights).max())


def test_figures_are_written_on_few_weights():
    path = layer().paths["S-CONV"]
    ((_, _, right),) = panels(sparse_figure(path))
    words = [text.get_text() for text in right.texts]
    weights = dense_weights(path)["u"][0, 0].tolist()
    assert words == [f"{w:.2f}".replace("-", "−") for w in weights]
    big = layer(size=(6, 6)).paths["S-FC"]
    assert not any(axes.texts for row in panels(sparse_figure(big)) for axes in row)


def test_anchors_that_left_a_torus_come_in_again_and_those_of_a_filter_are_seen():
    made = layer(prior=Sparse(learn_anchors=True))
    full, conv = made.paths["S-FC"], made.paths["S-CONV"]
    with torch.no_grad():
        full.z1[0] = torch.tensor([-0.75, 6.25])
        conv.z[0] = torch.tensor([-2.5, 0.0])
    dots = panels(sparse_figure(full))[0][0].collections[-1].get_offsets()
    np.testing.assert_allclose(dots[0], [0.25, 3.25])
    left = panels(sparse_figure(conv))[0][0]
    assert left.get_ylim()[1] < -2.5
    assert left.get_ylim()[0] == 1.5


def test_filters_of_orientations_have_a_row_each():
    path = layer("S-GCONV", P4, (4, 4), filters="full").paths["S-GCONV"]
    figure = sparse_figure(path, (1, 1))
    rows = panels(figure)
    names = [row[0].get_ylabel() for row in rows]
    assert names == ["orientation e", "orientation r", "orientation r2", "orientation r3"]
    weights = dense_weights(path)["u"][1, 1].view(4, 3, 3).numpy()
    shown = [row[2].images[0].get_array() for row in rows]
    np.testing.assert_allclose(np.stack(shown), weights, rtol=1e-6)
    dots = [len(row[0].collections[-1].get_offsets()) for row in rows]
    assert dots == np.bincount(path.bases["u"].anchors.turns).tolist()
    plain = layer("S-GCONV", P4, (4, 4)).paths["S-GCONV"]
    assert [row[0].get_ylabel() for row in panels(sparse_figure(plain))] == ["filter"]


def test_a_stationary_path_is_flat():
    path = layer(prior="lengthscales").paths["S-FC"]
    path.prior_variance = 0.0
    figure = sparse_figure(path)
    assert "ω = 0.00" in figure.get_suptitle()
    for _, middle, right in panels(figure):
        assert np.ptp(middle.images[0].get_array()) < 1e-6
        assert np.ptp(right.images[0].get_array()) < 1e-6


def test_the_headline_counts():
    figure = sparse_figure(layer().paths["S-FC"], (2, 1))
    expected = "S-FC, channel 1 to 2: 12 + 12 anchors for 24 + 24 weights, ω = 1.00"
    assert figure.get_suptitle() == expected


def test_files(tmp_path):
    file = tmp_path / "new" / "filter.png"
    rq.plot_sparse(layer().paths["S-CONV"], file)
    assert file.read_bytes().startswith(b"\x89PNG")


REGULAR = Vectors(groups.symmetric(3).regular, 1)


@pytest.mark.parametrize(
    ("path", "pair", "message"),
    [
        (layer("CONV").paths["CONV"], (0, 0), r"path=GroupConv\(...\) has no sparse weights"),
        (
            PositionConv(Field(Z2, 1, (4, 4)), Field(Z2, 1, (4, 4)), 3),
            (0, 0),
            "has no sparse weights on a plane: give the S-FC",
        ),
        (SparseFC(REGULAR, REGULAR), (0, 0), "weights on the elements of a group.*print"),
        (layer().paths["S-CONV"], (3, 0), r"pair=\(3, 0\) is not \(c', c\) .* has 3 .* and 2 in"),
        (layer().paths["S-CONV"], (0, -1), r"pair=\(0, -1\) is not"),
        (layer().paths["S-CONV"], 5, r"pair=5 is not \(c', c\)"),
        (layer().paths["S-CONV"], (0, 0, 0), r"pair=\(0, 0, 0\) is not"),
    ],
)
def test_errors(path, pair, message, tmp_path, monkeypatch):
    monkeypatch.setattr(config, "jaxtyping_disable", True)
    with pytest.raises(SpecError, match=message):
        plot_sparse(path, tmp_path / "filter.png", pair)
