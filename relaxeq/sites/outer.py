"""Sums of outer products of features, in as few operations as their symmetry allows."""

from einops import rearrange
from torch import Tensor

from relaxeq.shapes import Expanded, Gram

WIDTH = 128
"""Columns of a stripe, of large Grams at least: products left of its diagonal are never taken."""

LONG = 4
"""Positions per feature from which data are multiplied one by one."""

NARROW = 16
"""Features below which two positions are multiplied side by side: products of few columns are slow.
"""


def gram_of(expanded: Expanded) -> Gram:
    """Σ_{n,s} v vᵀ of canonical features (n, b, s, d), as (b, d, d)."""
    blocks, features = expanded.shape[1], expanded.shape[3]
    return mirror_(add_upper_(expanded.new_zeros(blocks, features, features), expanded))


def add_upper_(total: Gram, expanded: Expanded) -> Gram:
    """Add the Gram of canonical features; what lies below the diagonal is left to `mirror_`.

    Where one datum has many positions there is a product per datum, which copies nothing and keeps
    all threads busy; else one per stripe.
    """
    shared, features = expanded.shape[2:]
    if shared >= LONG * features:
        return total.add_(_datum_by_datum(expanded))
    rows = _rows(expanded)
    for start, stop in _stripes(features):
        total[:, start:stop, start:].baddbmm_(rows[..., start:stop].mT, rows[..., start:])
    return total


def _datum_by_datum(expanded: Expanded) -> Gram:
    features = expanded.shape[3]
    if features >= NARROW or expanded.shape[2] % 2 or expanded.stride()[2:] != (features, 1):
        return (expanded.mT @ expanded).sum(0)
    pairs = expanded.unflatten(2, (-1, 2)).flatten(3)
    both: Gram = (pairs.mT @ pairs).sum(0)
    return both[:, :features, :features] + both[:, features:, features:]


def mirror_(total: Gram) -> Gram:
    """Copy what `add_upper_` summed to the entries below the diagonal."""
    for start, stop in _stripes(total.shape[-1]):
        total[:, stop:, start:stop] = total[:, start:stop, stop:].mT
    return total


def _rows(expanded: Expanded) -> Tensor:
    """(block, (n s), feature), with a memory order that batched products take without a loop."""
    rows = rearrange(expanded, "n b s d -> b (n s) d")
    return rows if len(rows) == 1 or 1 in rows.stride()[1:] else rows.contiguous()


def _stripes(features: int) -> list[tuple[int, int]]:
    """Start and end of each stripe; small matrices are one, large ones four."""
    width = max(WIDTH, -(-features // 4)) if features >= 2 * WIDTH else max(features, 1)
    return [(start, min(start + width, features)) for start in range(0, features, width)]
