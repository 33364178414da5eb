"""One orthonormal basis for each subspace, whatever solver found the space."""

import numpy as np

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
