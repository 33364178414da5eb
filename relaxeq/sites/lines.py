"""The Gram of patches from lines of the grid: no matrix of whole patches is ever formed."""

import math
from collections.abc import Sequence

from einops import rearrange
from torch import Tensor

from relaxeq.shapes import Gram
from relaxeq.sites.first_taps import (
    Rows,
    by_convolution,
    by_pairs,
    by_strips,
    features_of,
    windows_of,
)
from relaxeq.sites.outer import gram_of

FEW_CHANNELS = 8
"""Channels of a group, at most, that a convolution of groups multiplies faster than matrices do."""

WIDE = 128
"""Features of a line from which products of pairs of taps are faster than those of all taps."""


def patch_gram(
    padded: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int = 1,
) -> Gram:
    """Σ_{n,p} v vᵀ of the patches v(c, δ) of a padded grid (n, c, row, …), per group.

    Patches are taken along every axis but the rows: u_r(c, δ') of the lines r. With stride s and
    dilation d, taps of the rows meet in G[δ,ε] = Σ_i u_{si+dδ} u_{si+dε}ᵀ over the positions i.
    With m = s/gcd(s,d) and q = d/gcd(s,d), tap δ+m sees at i what tap δ sees at i+q: G[δ+m,ε+m] is
    G[δ,ε] without its first q positions, and with q after its last. So products of m taps with all
    are enough: a 3×3 kernel takes 3/9 of those of whole patches with stride 1, 6/9 with stride 2.
    """
    rows = Rows(kernel[0], stride[0], dilation[0], padded.shape[2])
    windows = windows_of(padded, kernel[1:], stride[1:], dilation[1:])
    channels = padded.shape[1] // groups
    if groups > 1 and channels <= FEW_CHANNELS:
        products = by_convolution(padded, kernel, stride, dilation, groups)
    elif rows.gap > 1 or channels * math.prod(kernel[1:]) >= WIDE:
        products = by_pairs(windows, groups, rows)
    else:
        products = by_strips(windows, groups, rows)
    new, patch = products.shape[1:]
    borders = products.new_zeros(groups, patch - new, patch - new)
    taps, moved = rows.period
    for i in range(moved):
        first = windows[:, :, rows.seen(i, range(rows.size - taps))]
        last = windows[:, :, rows.seen(rows.positions - 1 - i, range(taps, rows.size))]
        borders += gram_of(features_of(last, groups)) - gram_of(features_of(first, groups))
    whole = _moved_on(products, borders)
    return rearrange(whole, "b (k c) (m d) -> b (c k) (d m)", c=channels, d=channels)


def _moved_on(products: Tensor, borders: Tensor) -> Tensor:
    """G of all taps from G[δ,ε] of the first taps δ, and from G[δ+m,ε+m] − G[δ,ε]."""
    new, patch = products.shape[1:]
    whole = products.new_empty(len(products), patch, patch)
    whole[:, :new] = products
    whole[:, new:, :new] = products[..., new:].mT
    for start in range(0, patch - new, new):
        stop = min(start + new, patch - new)
        moved = whole[:, start:stop, : patch - new] + borders[:, start:stop]
        whole[:, start + new : stop + new, new:] = moved
    return whole
