"""Hom between permutation representations: one basis matrix for each orbit of index pairs."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from relaxeq.groups.abstract import Floats
from relaxeq.groups.representation import Representation


def basis(rho_in: Representation, rho_out: Representation) -> Floats:
    """Shape (K, d_out, d_in): B_k is 1/√|orbit| on the k-th orbit of pairs (row, column), else 0.

    Exact, since B = ρ_out(g) B ρ_in(g)ᵀ says that B is constant on orbits. The smallest orbits come
    first, then those with the first pair, row-major: the order of `canonical_rows`.
    """
    d_in, d_out = rho_in.dim, rho_out.dim
    rows, columns = np.argmax(rho_out.images, axis=1), np.argmax(rho_in.images, axis=1)
    moved = (rows[:, :, None] * d_in + columns[:, None, :]).reshape(len(rows), d_out * d_in)
    start = np.broadcast_to(np.arange(d_out * d_in), moved.shape)
    edges = coo_array(
        (np.ones(moved.size), (start.ravel(), moved.ravel())), shape=(d_out * d_in, d_out * d_in)
    )
    count, orbit = connected_components(edges, directed=False)
    sizes = np.bincount(orbit)
    found = np.zeros((count, d_out * d_in))
    found[orbit, np.arange(d_out * d_in)] = 1 / np.sqrt(sizes)[orbit]
    order = np.lexsort((np.argmax(found > 0, axis=1), sizes))
    matrices: Floats = found[order].reshape(count, d_out, d_in)
    return matrices
