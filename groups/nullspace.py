"""Hom by linear algebra: B with ρ_out(g) B = B ρ_in(g) for the generators, and no theory."""

import numpy as np

from relaxeq.errors import GroupError
from relaxeq.groups.abstract import Floats
from relaxeq.groups.canonical import canonical_rows
from relaxeq.groups.representation import Representation

UNKNOWNS = 4096
_ZERO = 1e-10


def basis(rho_in: Representation, rho_out: Representation) -> Floats:
    """Shape (K, d_out, d_in): kernel of Σ CᵀC, with C the constraints on the entries of B.

    C B = ρ_out(g) B − B ρ_in(g) for discrete generators, dρ_out(A) B − B dρ_in(A) for those of the
    Lie algebra (Finzi et al. 2021). Works for every group, compact or not.
    """
    size = rho_out.dim * rho_in.dim
    if size > UNKNOWNS:
        raise GroupError(
            f"rho_in, rho_out: {rho_out.dim}×{rho_in.dim} unknowns are over {UNKNOWNS} at once. "
            "Write the representations as sums of smaller ones: blocks are solved one by one."
        )
    squares = np.zeros((size, size))
    for out, into in _constraints(rho_in, rho_out):
        squares += np.kron(out.T @ out, np.eye(rho_in.dim)) + np.kron(
            np.eye(rho_out.dim), into @ into.T
        )
        mixed = np.kron(out, into)
        squares -= mixed + mixed.T
    values, vectors = np.linalg.eigh(squares)
    kernel = vectors[:, values <= _ZERO * max(1.0, values[-1])].T
    return canonical_rows(kernel).reshape(-1, rho_out.dim, rho_in.dim)


def _constraints(rho_in: Representation, rho_out: Representation) -> list[tuple[Floats, Floats]]:
    discrete = zip(rho_out.images, rho_in.images, strict=True)
    algebra = zip(rho_out.derivatives, rho_in.derivatives, strict=True)
    return [*discrete, *algebra]
