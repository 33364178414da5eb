"""Orbits of a point group on filter taps: how an equivariant filter is read off its parameters."""

from dataclasses import dataclass
from functools import lru_cache
from typing import final

import numpy as np
from numpy.typing import NDArray

from relaxeq.errors import GroupError
from relaxeq.groups import PointGroup, Subgroup

Index = NDArray[np.int64]


@final
@dataclass(frozen=True, eq=False)
class Orbits:
    """Filters W[k', (k, δ)] with W[hk', hk, R_h δ] = W[k', k, δ] for h ∈ K, from free parameters θ.

    k' and k run over target and source orientations, δ over the taps of a square filter. Rows k' are
    grouped into orbits t of K, taps into `columns` classes; on sheet s (an h ∈ K, or one sheet where
    K fixes k') row t lands at k' = rows[s, t] and reads class taps[s, (k, δ)]:
        W[rows[s, t], (k, δ)] = θ[t, taps[s, (k, δ)]].
    `taps` is a permutation where the target is regular; where it is trivial, classes are orbits.
    """

    rows: Index
    taps: Index
    columns: int

    @property
    def free_rows(self) -> int:
        """Number of rows t that have parameters of their own."""
        return int(self.rows.shape[1])

    def row_of(self) -> tuple[Index, Index]:
        """For each target orientation k' its sheet s and its row t."""
        sheets, frees = np.indices(self.rows.shape)
        order = np.argsort(self.rows, axis=None)
        return sheets.ravel()[order], frees.ravel()[order]


@lru_cache(maxsize=256)
def orbits(part: Subgroup, source: int, target: int, kernel: int) -> Orbits:
    """The orbits of K = `part` ≤ H on target × source orientations (1 or |H| each) and k×k taps.

    Regular target, h ∈ K, t in a transversal of K\\H:  W[h t, k, δ] = θ[t, h⁻¹k, R_h⁻¹ δ].
    """
    group = part.parent
    assert isinstance(group, PointGroup)
    if not group.on_lattice:
        raise GroupError(f"{group} does not map the grid to itself: it has no orbits of filter taps.")
    moved = np.stack([_moved_taps(group, h, source, kernel) for h in part.embedding])
    if target > 1:
        transversal = np.array(part.right_transversal)
        rows = np.stack([group.mul[h, transversal] for h in part.embedding])
        return Orbits(rows, moved, moved.shape[1])
    smallest = moved.min(axis=0)  # the lowest tap of each orbit names it
    names, classes = np.unique(smallest, return_inverse=True)
    return Orbits(np.zeros((1, 1), np.int64), classes.reshape(1, -1), len(names))


def _moved_taps(group: PointGroup, h: int, source: int, kernel: int) -> Index:
    """Index of (h⁻¹ k, R_h⁻¹ δ) for every tap (k, δ)."""
    reach = kernel // 2
    offsets = np.stack(np.mgrid[-reach : reach + 1, -reach : reach + 1], -1).reshape(-1, 2)
    back = offsets @ group.matrices[h] + reach  # row vectors: δᵀ R = (R⁻¹ δ)ᵀ
    spatial = back[:, 0] * kernel + back[:, 1]
    turned = group.mul[group.inv[h]] if source > 1 else np.zeros(1, np.int64)
    return np.asarray(turned[:, None] * kernel**2 + spatial[None, :]).ravel()
