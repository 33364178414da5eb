"""KroneckerBlock against dense matrices: order of entries, eigenvalues, determinant, trace."""

import itertools
import math

import pytest
import torch

from relaxeq.curvature import KroneckerBlock
from relaxeq.errors import NumericsError, SpecError
from relaxeq.sites import Rearranged, Site

pytestmark = pytest.mark.usefixtures("float64")

SHAPES = [(1, 2, 3), (2, 3, 2), (3, 1, 2), (2, 2, 1), (1, 1, 1)]
AXES = ["".join(order) for order in itertools.permutations("boi")]


def gram(blocks, size, rank=None):
    rows = torch.randn(blocks, rank or size, size)
    return rows.mT @ rows


def block(shape, axes="boi", scale=0.37, rank=None):
    blocks, out, in_ = shape
    unused = Rearranged("n d -> n 1 1 d")
    site = Site(unused, unused, shape, axes)
    return KroneckerBlock(site, gram(blocks, in_, rank), gram(blocks, out, rank), scale)


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("shape", SHAPES)
def test_dense_entry_by_entry(shape, axes):
    """H[θ_b(o, i), θ_c(p, j)] = δ_bc G_b[o, p] A_b[i, j] · scale at the parameter's indices."""
    found = block(shape, axes)
    sizes = dict(zip("boi", shape, strict=True))
    parameter = torch.arange(math.prod(shape)).view([sizes[axis] for axis in axes])
    truth = torch.zeros(found.size, found.size)
    entries = list(itertools.product(*(range(n) for n in shape)))
    for (b, o, i), (c, p, j) in itertools.product(entries, entries):
        at = dict(zip("boi", (b, o, i), strict=True))
        to = dict(zip("boi", (c, p, j), strict=True))
        row = parameter[tuple(at[axis] for axis in axes)]
        column = parameter[tuple(to[axis] for axis in axes)]
        if b == c:
            truth[row, column] = found.outputs[b, o, p] * found.inputs[b, i, j] * 0.37
    torch.testing.assert_close(found.dense(), truth)


@pytest.mark.parametrize("rank", [None, 1])
@pytest.mark.parametrize("shape", SHAPES)
def test_spectrum_of_the_dense_matrix(shape, rank):
    found = block(shape, "obi", rank=rank)
    dense = found.dense()
    values = found.eigenvalues()
    assert values.shape == (found.size,)
    torch.testing.assert_close(values.sort().values, torch.linalg.eigvalsh(dense).clamp_min(0))
    torch.testing.assert_close(found.trace(), dense.trace())
    for delta in (1e-3, 1.0, 40.0):
        shifted = dense + delta * torch.eye(found.size)
        torch.testing.assert_close(found.logdet(delta), torch.linalg.slogdet(shifted).logabsdet)


def test_zero_factors():
    """Dead units: all-zero factors, in single precision too."""
    unused = Rearranged("n d -> n 1 1 d")
    site = Site(unused, unused, (1, 3, 4))
    zero = KroneckerBlock(
        site,
        torch.zeros(1, 4, 4, dtype=torch.float32),
        torch.zeros(1, 3, 3, dtype=torch.float32),
        1.0,
    )
    assert not zero.eigenvalues().any()
    assert zero.logdet(math.e).item() == pytest.approx(12.0)
    assert zero.trace() == 0


def test_single_precision_factors_are_decomposed_in_double():
    """Small eigenvalues that float32 loses: condition 1e9."""
    unused = Rearranged("n d -> n 1 1 d")
    site = Site(unused, unused, (1, 1, 2))
    diagonal = torch.diag(torch.tensor([1.0, 1e-9])).float()[None]
    values = KroneckerBlock(site, diagonal, torch.ones(1, 1, 1).float(), 1.0).eigenvalues()
    assert values.dtype == torch.float64
    torch.testing.assert_close(values, torch.tensor([1e-9, 1.0]), rtol=1e-6, atol=0)


def test_eigenvalues_are_never_negative():
    """Rounding makes a Gram of low rank slightly indefinite."""
    rows = torch.randn(1, 2, 40).float()
    site = Site(Rearranged("n d -> n 1 1 d"), Rearranged("n d -> n 1 1 d"), (1, 1, 40))
    found = KroneckerBlock(site, rows.mT @ rows, torch.ones(1, 1, 1).float(), 1.0)
    assert torch.linalg.eigvalsh(found.inputs.double()).min() < 0
    assert found.eigenvalues().min() >= 0


@pytest.mark.parametrize("delta", [0.0, -1.0, math.nan])
def test_logdet_needs_a_positive_precision(delta):
    with pytest.raises(SpecError, match=f"delta={delta} must be positive: it is a prior precision"):
        block((1, 2, 2)).logdet(delta)


@pytest.mark.parametrize("which", ["inputs", "outputs"])
def test_factors_that_are_not_finite(which):
    found = block((1, 2, 2))
    getattr(found, which)[0, 0, 0] = math.nan
    with pytest.raises(NumericsError, match="factor is not finite"):
        found.eigenvalues()
