"""Correlations of channels over a torus or a plane."""

from functools import lru_cache

import torch
from einops import rearrange
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_weight

SIDE = 20
"""Longest side of a torus whose transforms are products of matrices; longer ones take an FFT."""

FEW_CHANNELS = 8
"""Number below which a plane is correlated by a convolution: transforms would not be faster."""

Torus = tuple[int, int]


def torus_correlations(x: Tensor, kernel: int) -> Tensor:
    """R[c, c', d] = Σ_{n,p} x[n,c,p] x[n,c',p+d], rows and columns |d| < k, on the torus of x.

    Shape (channel, channel, 2k−1, 2k−1).
    """
    return _by_waves(x, (x.shape[2], x.shape[3]), kernel - 1)


def plane_correlations(x: Tensor, kernel: int) -> Tensor:
    """`torus_correlations`, with zeros around x in place of a torus."""
    reach, channels = kernel - 1, x.shape[1]
    if channels >= FEW_CHANNELS:
        height, width = (_room(side + reach) for side in x.shape[2:])
        return _by_waves(x, (height, width), reach)
    wide = functional.pad(x, (reach, reach, 0, reach))
    below = conv2d_weight(wide, (channels, channels, kernel, 2 * kernel - 1), x)
    above = below[:, :, 1:].flip(2, 3).transpose(0, 1)
    return torch.cat([above, below], 2)


def _room(side: int) -> int:
    """A side of a torus, at least this one, that is transformed fast."""
    return side if side <= SIDE else int(next_fast_len(side, real=True))


def _by_waves(x: Tensor, torus: Torus, reach: int) -> Tensor:
    """Correlations on a torus of these sides, with zeros where x ends.

    Per frequency one Gram over the data, transformed back to these differences alone.
    """
    waves = _waves(x, torus)
    grams = waves.mT @ waves
    channels, side = x.shape[1], 2 * reach + 1
    of_real, of_imaginary = _transform_back(*torus, reach).to(x).split(len(grams), 1)
    halves = (slice(channels), slice(channels, None))
    (real, mixed), (other, imaginary) = ([grams[:, a, b] for b in halves] for a in halves)
    found = torch.addmm(
        of_real @ (real + imaginary).flatten(1), of_imaginary, (mixed - other).flatten(1)
    )
    return rearrange(found, "(r s) (c e) -> c e r s", r=side, c=channels)


def _waves(x: Tensor, torus: Torus) -> Tensor:
    """The transform of x (n, channel, row, column) as (frequency, n, (part, channel)).

    Parts are the real and the imaginary one. Frequencies are those of half of the rows and of all
    columns; the rest are their mirror images.
    """
    count, channels, height, width = x.shape
    if max(torus) > SIDE:
        waves = torch.view_as_real(torch.fft.rfft2(x, torus[::-1], dim=(3, 2))).flatten(2, 3)
        return torch.cat([part.permute(2, 0, 1) for part in waves.unbind(3)], 2)
    of_rows, of_columns = (matrix.to(x) for matrix in _transforms(height, width, torus))
    lines = x.permute(0, 2, 3, 1).flatten(2)  # a view where channels are last in memory
    halves = (of_rows.expand(count, -1, -1) @ lines).view(-1, 2 * width, channels)
    both = of_columns.expand(len(halves), -1, -1) @ halves
    return both.view(count, -1, 2 * channels).transpose(0, 1)


@lru_cache(maxsize=64)
def _transforms(height: int, width: int, torus: Torus) -> tuple[Tensor, Tensor]:
    """Matrices of the transforms of a row index, real to ((frequency, part), row), and of columns.

    That of columns is of complex numbers: ((frequency, part), (part, column)).
    """
    rows = _angles(torch.arange(torus[0] // 2 + 1), height, torus[0])
    columns = _angles(torch.arange(torus[1]), width, torus[1])
    real = torch.stack([rows.cos(), -rows.sin()], 1).flatten(0, 1)
    cosine, sine = columns.cos(), columns.sin()
    turned = torch.cat([cosine, sine], 1), torch.cat([-sine, cosine], 1)
    return real, torch.stack(turned, 1).flatten(0, 1)


def _angles(frequencies: Tensor, places: int, side: int) -> Tensor:
    return torch.outer(frequencies.double(), torch.arange(places).double()) * (2 * torch.pi / side)


@lru_cache(maxsize=64)
def _transform_back(height: int, width: int, reach: int) -> Tensor:
    """The inverse transform of a real grid, (differences, (part, frequency))."""
    steps = torch.arange(-reach, reach + 1)
    rows = _angles(steps, height // 2 + 1, height)
    columns = _angles(steps, width, width)
    angle = (rows[:, None, :, None] + columns[None, :, None, :]).flatten(2).flatten(0, 1)
    twice = torch.full((height // 2 + 1, width), 2.0, dtype=torch.float64)
    twice[[0, -1] if height % 2 == 0 else [0]] = 1.0  # other waves come with their mirror images
    weight = twice.flatten() / (height * width)
    return torch.cat([weight * angle.cos(), -weight * angle.sin()], 1)
