"""The Gram of patches from lines of the grid: no matrix of whole patches is ever formed."""

import math
from collections.abc import Sequence
from dataclasses import replace

from einops import rearrange
from torch import Tensor

from relaxeq.shapes import Gram
from relaxeq.sites.first_taps import Multiply, Taps, by_convolution, by_pairs, by_strips

FEW_CHANNELS, FEW_TAPS = 8, 9
"""Of groups, at most, whose products are fastest as a convolution."""

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

    Taps of the rows meet in G[δ,ε] = Σ_j u_{sj+dδ} u_{sj+dε}ᵀ over R positions j of the lines u_r,
    stride s, dilation d. With m = s/gcd(s,d) and q = d/gcd(s,d), tap δ+m sees at j what tap δ sees
    at j+q. So if taps move T times at most, the G[δ+tm,ε+tm] of all t have R−Tq terms in common,
    which are summed for the first m taps δ alone, and Tq terms of their own. A 3×3 kernel takes
    about 3/9 of the products of whole patches with stride 1, 6/9 with stride 2. No term is
    subtracted, so that sums of squares keep their digits.
    """
    taps = Taps(tuple(kernel), tuple(stride), tuple(dilation), groups)
    channels = padded.shape[1] // groups
    size, step, gap = taps.rows
    positions = taps.positions(padded.shape[2])
    first, moved, own = _shared(size, step, gap, positions)
    multiply = _cheapest(channels, taps)

    def part(seen: range, last: int) -> Tensor:
        """Products of the last taps, over some of the positions."""
        start = step * seen.start + gap * (size - last)
        lines = padded[:, :, start : start + step * (len(seen) - 1) + gap * (last - 1) + 1]
        return multiply(lines, replace(taps, kernel=(last, *taps.kernel[1:])), min(first, last))

    common = part(range(own, positions), size)
    width = common.shape[2] // size
    whole = common.new_empty(groups, size * width, size * width)
    for move, tap in enumerate(range(0, size, first)):
        here, after = tap * width, (tap + first) * width
        block = common[:, : whole.shape[1] - here, : whole.shape[1] - here]
        for seen in (range(own - move * moved), range(positions - move * moved, positions)):
            block = block + part(seen, size - tap) if own and seen else block
        whole[:, here:after, here:] = block
        whole[:, after:, here:after] = block[:, :, first * width :].mT
    return rearrange(whole, "b (k c) (m d) -> b (c k) (d m)", c=channels, d=channels)


def _shared(size: int, step: int, gap: int, positions: int) -> tuple[int, int, int]:
    """(m, q, Tq), or (size, 0, 0) where taps that move have no position in common."""
    common = math.gcd(step, gap)
    first, moved = step // common, gap // common
    own = (size - 1) // first * moved
    return (first, moved, own) if own < positions and first < size else (size, 0, 0)


def _cheapest(channels: int, taps: Taps) -> Multiply:
    """The fastest way to the products, by what was measured."""
    if taps.groups > 1 and channels <= FEW_CHANNELS and math.prod(taps.kernel) <= FEW_TAPS:
        return by_convolution
    wide = channels * math.prod(taps.kernel[1:]) >= WIDE
    return by_pairs if taps.dilation[0] > 1 or wide else by_strips
