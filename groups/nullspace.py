"""Hom by linear algebra: B with ρ_out(g) B = B ρ_in(g) for the generators, and no theory."""

from collections.abc import Iterator

import numpy as np

from relaxeq.errors import GroupError
from relaxeq.groups.abstract import Floats
from relaxeq.groups.canonical import canonical_rows
from relaxeq.groups.representation import Representation

UNKNOWNS = 4096
_ROUGH = 1e-3
ZERO = 1e-7
_GAP = 1e3


def basis(rho_in: Representation, rho_out: Representation) -> Floats:
    """Shape (K, d_out, d_in): the B of norm 1 of which every constraint C leaves ‖C B‖ = 0.

    C B = ρ_out(g) B − B ρ_in(g) for discrete generators, dρ_out(A) B − B dρ_in(A) for orthonormal A
    that span the Lie algebra (Finzi et al. 2021), each divided by the larger ‖ρ‖: the scale of
    generators does not matter. Works for every group, compact or not. Below 1e-7 is 0; GroupError
    where what is left of some B is not a thousand times that.
    """
    size = rho_out.dim * rho_in.dim
    if size > UNKNOWNS:
        raise GroupError(
            f"rho_in, rho_out: {rho_out.dim}×{rho_in.dim} unknowns are over {UNKNOWNS} at once. "
            "Write the representations as sums of smaller ones: blocks are solved one by one."
        )
    conditions = list(constraints(rho_in, rho_out))
    values, vectors = np.linalg.eigh(_squares(conditions, rho_in.dim, rho_out.dim))
    rough = vectors[:, values <= _ROUGH**2].T
    # Squares lose half of the digits: among these few, what the constraints leave has them all.
    values, turn = np.linalg.eigh(_left(conditions, rough.reshape(-1, rho_out.dim, rho_in.dim)))
    left = np.sqrt(np.maximum(values, 0.0))
    zero = left <= ZERO
    if left[~zero].min(initial=_ROUGH) < _GAP * left[zero].max(initial=0.0):
        raise GroupError(
            f"rho_in, rho_out: maps from {rho_in!r} to {rho_out!r} cannot be told from others: "
            f"constraints leave {left[zero].max():.1g} of some and {left[~zero].min():.1g} of "
            "others. Write the representations with all digits, and entries of similar size."
        )
    return canonical_rows(turn[:, zero].T @ rough).reshape(-1, rho_out.dim, rho_in.dim)


def constraints(rho_in: Representation, rho_out: Representation) -> Iterator[tuple[Floats, Floats]]:
    """The pairs (ρ_out, ρ_in) of norm 1; dρ of less than 1 stays, lest rounding errors count."""
    for pair in zip(rho_out.images, rho_in.images, strict=True):
        yield _divided(pair, 0.0)
    directions = rho_in.group.directions
    slopes = (np.tensordot(directions, rho.derivatives, 1) for rho in (rho_out, rho_in))
    for pair in zip(*slopes, strict=True):
        yield _divided(pair, 1.0)


def _divided(pair: tuple[Floats, Floats], least: float) -> tuple[Floats, Floats]:
    out, into = pair
    scale = max(least, *(float(np.linalg.norm(matrix, ord=2)) for matrix in pair))
    return out / scale, into / scale


def _squares(conditions: list[tuple[Floats, Floats]], d_in: int, d_out: int) -> Floats:
    """Σ CᵀC, of shape (d_out d_in, d_out d_in)."""
    squares = np.zeros((d_out * d_in, d_out * d_in))
    for out, into in conditions:
        squares += np.kron(out.T @ out, np.eye(d_in)) + np.kron(np.eye(d_out), into @ into.T)
        mixed = np.kron(out, into)
        squares -= mixed + mixed.T
    return squares


def _left(conditions: list[tuple[Floats, Floats]], matrices: Floats) -> Floats:
    """Σ ⟨C B_k, C B_l⟩ over the constraints, of shape (K, K)."""
    gram = np.zeros((len(matrices), len(matrices)))
    for out, into in conditions:
        rest = out @ matrices - matrices @ into
        gram += np.einsum("kij,lij->kl", rest, rest, optimize=True)
    return gram
