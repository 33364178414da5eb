"""The Gram of patches from lines of the grid: no matrix of whole patches is ever formed."""

from collections.abc import Sequence

from einops import rearrange
from torch import Tensor

from relaxeq.shapes import Gram

LIMIT = 1 << 20
"""Entries of products per line that are held at once before they are added up."""

Spans = dict[tuple[int, int, int], list[tuple[int, int]]]


def patch_gram(
    padded: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int = 1,
) -> Gram:
    """Σ_{n,p} v vᵀ of the patches v(c, δ) of a padded grid (n, c, row, …), per group.

    Patches are taken along every axis but the rows: u_r(c, δ') of the lines r. Two taps δ, ε of the
    rows meet in Σ_i u_{si+δ} u_{si+ε}ᵀ, which depends on ε−δ, up to a few lines at the border, and
    on δ modulo the stride s. A 3×3 kernel takes 3/9 of the products of whole patches with stride 1,
    5/9 with stride 2, and 3 or 3/2 times the memory of its input.
    """
    step, taps = stride[0], [tap * dilation[0] for tap in range(kernel[0])]
    rows = (padded.shape[2] - taps[-1] - 1) // step + 1
    windows = _windows(padded, kernel[1:], stride[1:], dilation[1:])
    lines = {
        residue: _lines(windows[:, :, residue::step], groups)
        for residue in {tap % step for tap in taps}
    }
    found: dict[tuple[int, int], Tensor] = {}
    for (first, second, shift), pairs in _families(taps, step).items():
        starts = [taps[pair[0]] // step for pair in pairs]
        sums = _line_sums(lines[first], lines[second], shift, starts, rows)
        found |= dict(zip(pairs, sums, strict=True))
    return _assembled(found, len(taps), padded.shape[1] // groups)


def _windows(
    padded: Tensor, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> Tensor:
    """Views (n, c, row, other positions …, other taps …)."""
    windows = padded
    for axis, (size, step, gap) in enumerate(zip(kernel, stride, dilation, strict=True), start=3):
        windows = windows.unfold(axis, (size - 1) * gap + 1, step)[..., ::gap]
    return windows


def _lines(windows: Tensor, groups: int) -> Tensor:
    """(block, line, (n, other positions), (other taps, channel))."""
    rest = (windows.ndim - 3) // 2
    grid = " ".join(f"p{i}" for i in range(rest))
    taps = " ".join(f"k{i}" for i in range(rest))
    lines = rearrange(windows, f"n (b c) r {grid} {taps} -> b r (n {grid}) ({taps} c)", b=groups)
    return lines if 1 in lines.stride()[2:] else lines.contiguous()


def _families(taps: list[int], step: int) -> Spans:
    """Pairs of taps (i ≤ j) by what decides their product: residues, and the shift in lines."""
    families: Spans = {}
    for i, one in enumerate(taps):
        for j, two in enumerate(taps[i:], start=i):
            key = (one % step, two % step, two // step - one // step)
            families.setdefault(key, []).append((i, j))
    return families


def _line_sums(
    left: Tensor, right: Tensor, shift: int, starts: list[int], rows: int
) -> list[Tensor]:
    """Σ of u_r u_{r+shift}ᵀ over `rows` lines from each start: what they share, only once."""

    def part(begin: int, end: int) -> Tensor:
        return _product(left[:, begin:end], right[:, begin + shift : end + shift])

    first, last = max(starts), min(starts) + rows
    if first >= last:
        return [part(start, start + rows) for start in starts]
    shared = part(first, last)
    return [
        shared
        + (part(start, first) if start < first else 0)
        + (part(last, start + rows) if last < start + rows else 0)
        for start in starts
    ]


def _product(left: Tensor, right: Tensor) -> Tensor:
    """Σ_{r,m} of outer products, (block, line, m, feature) twice; small lines one by one."""
    if left.shape[1] * left.shape[3] ** 2 <= LIMIT:  # stays in the processor's cache
        return (left.mT @ right).sum(1)
    return left.flatten(1, 2).mT @ right.flatten(1, 2)


def _assembled(found: dict[tuple[int, int], Tensor], taps: int, channels: int) -> Gram:
    """The blocks of pairs of taps, and their mirror images, as one matrix of (channel, tap)."""
    blocks = {pair: _split(block, channels) for pair, block in found.items()}
    count, others = len(blocks[0, 0]), blocks[0, 0].shape[2]
    gram = blocks[0, 0].new_empty(count, channels, taps, others, channels, taps, others)
    for (i, j), block in blocks.items():
        gram[:, :, i, :, :, j] = block
        if i < j:
            gram[:, :, j, :, :, i] = block.permute(0, 3, 4, 1, 2)
    return gram.flatten(4).flatten(1, 3)


def _split(block: Tensor, channels: int) -> Tensor:
    """(block, channel, other taps, channel, other taps)."""
    return rearrange(block, "b (k c) (m d) -> b c k d m", c=channels, d=channels)
