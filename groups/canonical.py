"""One orthonormal basis for each subspace, whatever solver found the space."""

import numpy as np
from numpy.typing import NDArray

from relaxeq.groups.abstract import Floats

_TIE = 1e-6


def canonical_rows(rows: Floats) -> Floats:
    """An orthonormal basis (K, N) of the span of orthonormal rows (K, N), fixed by the span alone.

    Row by row it takes the projection of the coordinate vector that the rest of the span holds
    most of, the first of equals. Learned parameters are coefficients in such a basis, so that it
    must not change with the machine or with the library that solved for it.
    """
    rest = np.array(rows)
    basis = np.empty_like(rest)
    for k in range(len(rest)):
        held = np.einsum("kn,kn->n", rest, rest)
        pivot = int(np.argmax(held >= held.max() - _TIE))
        row = rest[:, pivot] @ rest
        basis[k] = row / np.linalg.norm(row)
        rest = rest - np.outer(rest @ basis[k], basis[k])
    basis[np.abs(basis) < 1e-14] = 0.0
    return basis


def pivots(rows: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """How much of its pivot each row of a canonical basis (K, N) held, and which coordinate it is.

    The pivot is the first of the row's largest entries, and their square is what was held.
    """
    squares = rows**2
    held: Floats = squares.max(axis=1, initial=0.0)
    return held, np.argmax(squares >= held[:, None] - _TIE, axis=1)


def canonical_order(held: Floats, pivot: NDArray[np.int64]) -> NDArray[np.int64]:
    """The order of canonical bases of spaces on disjoint coordinates in the basis of their sum."""
    descending = np.argsort(-held)
    ranks = np.empty(len(held), dtype=np.int64)
    ranks[descending] = np.cumsum(np.diff(held[descending], prepend=1.0) < -_TIE)
    order: NDArray[np.int64] = np.lexsort((pivot, ranks))
    return order
