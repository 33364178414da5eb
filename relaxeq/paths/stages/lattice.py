"""Orbits of a point group on filter taps: how an equivariant filter is read off its parameters."""

from dataclasses import dataclass
from functools import lru_cache
from typing import final

import numpy as np
from numpy.typing import NDArray

from relaxeq.errors import GroupError
from relaxeq.groups import PointGroup, Subgroup
from relaxeq.paths.subgroups import subgroup_name

Index = NDArray[np.int64]


@final
@dataclass(frozen=True, eq=False)
class Orbits:
    """Filters W[k', (k, δ)] with W[hk', hk, R_h δ] = W[k', k, δ] for h ∈ K, from free parameters θ.

    k' and k run over target and source orientations, δ over the taps of a square filter. Rows k'
    are grouped into orbits t of K, taps into `columns` classes; on sheet s (an h ∈ K, or one sheet
    where K fixes k') row t lands at k' = rows[s, t] and reads class taps[s, (k, δ)]:
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
        return _places(self.rows)


@final
@dataclass(frozen=True, eq=False)
class Sheets:
    """The orientations of H as |K| sheets: k = rows[s, t] = h t, for h ∈ K in order s.

    `taps[s, δ]` is the index of R_h⁻¹ δ: on sheet s a turned filter reads tap taps[s, δ] at δ.
    """

    rows: Index
    taps: Index

    def row_of(self) -> tuple[Index, Index]:
        """For each orientation k its sheet s and its row t."""
        return _places(self.rows)


@lru_cache(maxsize=256)
def sheets(part: Subgroup, kernel: int) -> Sheets:
    """The sheets of K = `part` ≤ H with the taps of a k×k filter."""
    group = part.parent
    assert isinstance(group, PointGroup)
    return Sheets(
        orientation_rows(part), np.stack([moved_taps(group, h, 1, kernel) for h in part.embedding])
    )


@lru_cache(maxsize=256)
def orbits(part: Subgroup, source: int, target: int, kernel: int) -> Orbits:
    """The orbits of K = `part` ≤ H on target × source orientations (1 or |H| each) and k×k taps.

    Regular target, h ∈ K, t in a transversal of K\\H:  W[h t, k, δ] = θ[t, h⁻¹k, R_h⁻¹ δ].
    """
    group = part.parent
    assert isinstance(group, PointGroup)
    moved = np.stack([moved_taps(group, h, source, kernel) for h in part.embedding])
    if target > 1:
        return Orbits(orientation_rows(part), moved, moved.shape[1])
    smallest = moved.min(axis=0)  # the lowest tap of each orbit names it
    names, classes = np.unique(smallest, return_inverse=True)
    return Orbits(np.zeros((1, 1), np.int64), classes.reshape(1, -1), len(names))


def orientation_rows(part: Subgroup) -> Index:
    """rows[s, t] = h t for h ∈ K and t in a transversal of K\\H, shape (|K|, |H|/|K|)."""
    return part.parent.mul[np.ix_(part.embedding, part.right_transversal)]


def keeps_the_lattice(part: Subgroup) -> bool:
    """Whether K maps pixels to pixels, whatever the rest of the point group does."""
    return _own(part).on_lattice


def check_grid(part: Subgroup, size: tuple[int, int]) -> None:
    """Raise GroupError unless K maps an H×W torus to itself."""
    if not keeps_the_lattice(part):
        raise GroupError(
            f"{subgroup_name(part)} does not map the square grid to itself, so it has no exact "
            "filters on pixels: write STEER in place of GCONV, or a subgroup, as in GCONV[p2]."
        )
    if size[0] != size[1] and _own(part).turns:
        raise GroupError(
            f"{subgroup_name(part)} turns rows into columns, and the grid {size} of source is not "
            "square: write a square size, or a subgroup of flips and half turns, as in GCONV[p2]."
        )


def _own(part: Subgroup) -> PointGroup:
    assert isinstance(part.group, PointGroup)
    return part.group


def _places(rows: Index) -> tuple[Index, Index]:
    """For each k in `rows` its row and column there."""
    first, second = np.indices(rows.shape)
    order = np.argsort(rows, axis=None)
    return first.ravel()[order], second.ravel()[order]


def moved_taps(group: PointGroup, h: int, source: int, kernel: int) -> Index:
    """Index of (h⁻¹ k, R_h⁻¹ δ) for every tap (k, δ)."""
    reach = kernel // 2
    offsets = np.indices((kernel, kernel)).reshape(2, -1).T - reach
    matrix = np.rint(group.matrices[h]).astype(np.int64)
    back = offsets @ matrix + reach  # row vectors: δᵀ R = (R⁻¹ δ)ᵀ
    spatial = back[:, 0] * kernel + back[:, 1]
    turned = group.mul[group.inv[h]] if source > 1 else np.zeros(1, np.int64)
    return np.asarray(turned[:, None] * kernel**2 + spatial[None, :]).ravel()
