"""Eigenvalues of factors: large ones in parts, dead features left out, each factor once."""

import pytest
import torch

from relaxeq.curvature import Pass, estimate, spectra
from relaxeq.curvature.spectra import Spectra, eigenvalues

pytestmark = pytest.mark.usefixtures("float64")


def grams(blocks, size):
    rows = torch.randn(blocks, size + 2, size)
    return rows.mT @ rows


@pytest.mark.parametrize("dead", [[], [0], [1, 3], [0, 1, 2, 3, 4]])
def test_dead_features_add_zeros(monkeypatch, dead):
    """Features that are 0 in every block are not decomposed, and their eigenvalues are exact."""
    found = grams(3, 5)
    found[:, dead] = 0
    found[:, :, dead] = 0
    truth, seen = torch.linalg.eigvalsh(found).clamp_min(0.0), []
    plain = spectra.symmetric_eigenvalues
    monkeypatch.setattr(
        spectra, "symmetric_eigenvalues", lambda a: seen.append(a.shape) or plain(a)
    )
    torch.testing.assert_close(eigenvalues(found).sort().values, truth.sort().values)
    assert seen == [(3, 5 - len(dead), 5 - len(dead))]


def test_a_feature_that_lives_in_one_block_is_kept():
    found = grams(2, 3)
    found[0, 1], found[0, :, 1] = 0, 0
    torch.testing.assert_close(eigenvalues(found), torch.linalg.eigvalsh(found).clamp_min(0.0))


def test_a_factor_is_decomposed_once(monkeypatch):
    found, same = grams(1, 3), grams(1, 3)
    calls = []
    monkeypatch.setattr(spectra, "eigenvalues", lambda a: calls.append(a) or a)
    kept = Spectra()
    for factor in (found, same, found, same):
        assert kept.of(factor) is factor
    assert [a is b for a, b in zip(calls, (found, same), strict=True)] == [True, True]


@pytest.mark.parametrize("name", ["eigvalsh", "eigh"])
def test_an_exact_block_is_decomposed_once(monkeypatch, name):
    net, x = torch.nn.Linear(3, 2), torch.randn(4, 3)
    block = estimate(net, [(x, torch.tensor([0, 1, 1, 0]))], Pass(), "exact").blocks["weight"]
    vectors, truth, calls = torch.randn(1, 1, 2, 3), block.dense() + torch.eye(6), []
    plain = getattr(torch.linalg, name)
    monkeypatch.setattr(torch.linalg, name, lambda a: calls.append(a) or plain(a))
    for _ in range(2):
        torch.testing.assert_close(block.logdet(1.0), torch.logdet(truth))
        whitened = block.inverse_root(vectors, 1.0).flatten()
        torch.testing.assert_close(whitened @ truth @ whitened, vectors.square().sum())
    assert len(calls) == 1


@pytest.mark.parametrize(("limit", "sizes"), [(8, [1] * 5), (18, [2, 2, 1]), (1000, [5])])
def test_large_blocks_are_decomposed_one_by_one(monkeypatch, limit, sizes):
    """No copy in float64 holds more than `limit` entries, or one block: the values are the same."""
    grams = torch.randn(5, 3, 4)
    grams = grams @ grams.mT
    truth, seen = torch.linalg.eigvalsh(grams.double()), []
    plain = spectra.symmetric_eigenvalues
    monkeypatch.setattr(spectra, "AT_ONCE", limit)
    monkeypatch.setattr(spectra, "symmetric_eigenvalues", lambda a: seen.append(len(a)) or plain(a))
    torch.testing.assert_close(spectra.eigenvalues(grams), truth)
    assert seen == sizes
