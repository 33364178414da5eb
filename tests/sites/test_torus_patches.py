"""TorusPatches: patches and Gram against loops over pixels, taps and wrapped indices."""

import itertools

import pytest
import torch

from relaxeq.sites import TorusPatches

GRIDS = [(1, 1), (2, 2), (2, 4), (4, 2), (3, 3), (4, 4), (5, 5), (1, 3), (6, 5)]
CASES = [
    (grid, kernel)
    for grid in GRIDS
    for kernel in (1, 3, 5)
    if kernel // 2 <= min(grid)  # RelaxedLayer refuses a filter that wraps twice
]


def unfolded(x, kernel):
    """x[n, c, (r+i) mod H, (q+j) mod W] for offsets i, j about the centre, pixel by pixel."""
    count, channels, height, width = x.shape
    reach = range(-(kernel // 2), kernel // 2 + 1)
    taps = list(itertools.product(range(channels), reach, reach))
    out = x.new_zeros(count, height * width, len(taps))
    for r, q in itertools.product(range(height), range(width)):
        for f, (c, i, j) in enumerate(taps):
            out[:, r * width + q, f] = x[:, c, (r + i) % height, (q + j) % width]
    return out


@pytest.mark.parametrize(("grid", "kernel"), CASES)
@pytest.mark.parametrize(("count", "channels"), [(1, 1), (3, 2)])
@pytest.mark.usefixtures("float64")
def test_patches_and_gram(grid, kernel, count, channels):
    x = torch.randn(count, channels, *grid)
    truth = unfolded(x, kernel)
    layout = TorusPatches(kernel)
    torch.testing.assert_close(layout.expand(x)[:, 0], truth)
    torch.testing.assert_close(layout.gram(x)[0], torch.einsum("npf,npg->fg", truth, truth))
    assert layout.shared(x) == grid[0] * grid[1]


def test_gram_in_single_precision():
    """Correlations must not lose to the patch matrix: 300 pixels of 16 bits of signal."""
    x = torch.randn(4, 3, 9, 9) + 5
    found = TorusPatches(3).gram(x)[0].double()
    rows = unfolded(x.double(), 3).flatten(0, 1)
    error = (found - rows.T @ rows).abs().max() / found.abs().max()
    assert error < 1e-5


def test_gram_is_symmetric_and_positive():
    gram = TorusPatches(3).gram(torch.randn(2, 4, 5, 5).double())[0]
    torch.testing.assert_close(gram, gram.T)
    assert torch.linalg.eigvalsh(gram).min() > -1e-9


def test_gram_leaves_its_input_alone():
    x = torch.randn(2, 3, 4, 4).transpose(2, 3)
    before = x.clone()
    TorusPatches(3).gram(x)
    assert torch.equal(x, before)
