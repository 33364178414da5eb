"""Equivariant linear maps: orthonormal bases of Hom_G(ρ_in, ρ_out)."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np

from relaxeq.errors import GroupError
from relaxeq.groups import nullspace, orbits, schur
from relaxeq.groups.abstract import Floats
from relaxeq.groups.canonical import canonical_order, canonical_rows, pivots
from relaxeq.groups.orthogonal import orthogonalised
from relaxeq.groups.representation import Representation, check_representations

_log = logging.getLogger(__name__)
_SLOW = 2.0  # seconds after which a user wants to know where they went
_SMALL = 256  # unknowns up to which the null space is found in less time than irreps


def equivariant_basis(rho_in: Representation, rho_out: Representation) -> Floats:
    """A basis B of shape (K, d_out, d_in) of all W with W ρ_in(g) = ρ_out(g) W for every g.

    Orthonormal: Σ B_k B_l = δ_kl over entries. K = ⟨χ_out, χ_in⟩ for finite groups. Fixed by the
    space alone: the same on every machine and however ρ_in and ρ_out were written, as sums or not.
    Cached on the values of its arguments, and read-only. What takes longer than two
    seconds is logged as a warning with its time. (Paper, Eq. 10: vec(W) = Σ_i B_i u_i + v.)
    """
    check_representations(rho_in=rho_in, rho_out=rho_out)
    if rho_in.group != rho_out.group:
        raise GroupError(
            f"rho_out: it is of {rho_out.group}, and rho_in of {rho_in.group}. "
            "Restrict both to one group: groups.restricted(rho, subgroup)."
        )
    with _reported(rho_in, rho_out):
        return _assembled(rho_in, rho_out)


@lru_cache(maxsize=256)
def _assembled(rho_in: Representation, rho_out: Representation) -> Floats:
    """The blocks between summands, in an order that forgets how the sums were written."""
    blocks = list(_blocks(rho_in, rho_out))
    held, pivot = [np.zeros(0)], [np.zeros(0, np.int64)]
    for rows, columns, block in blocks:
        largest, place = pivots(block.reshape(len(block), block.shape[1] * block.shape[2]))
        row, column = np.divmod(place, block.shape[2])
        held.append(largest)
        pivot.append((rows.start + row) * rho_in.dim + columns.start + column)
    order = canonical_order(np.concatenate(held), np.concatenate(pivot))
    places = iter(np.argsort(order).tolist())
    basis = np.zeros((len(order), rho_out.dim, rho_in.dim))
    for rows, columns, block in blocks:
        for matrix in block:
            basis[next(places), rows, columns] = matrix
    basis.setflags(write=False)
    return basis


def _blocks(
    rho_in: Representation, rho_out: Representation
) -> Iterator[tuple[slice, slice, Floats]]:
    """The rows, the columns and the basis of each block."""
    bottom = 0
    for out in rho_out.terms:
        top, bottom, right = bottom, bottom + out.dim, 0
        for into in rho_in.terms:
            left, right = right, right + into.dim
            yield slice(top, bottom), slice(left, right), _block(into, out)


@lru_cache(maxsize=1024)
def _block(rho_in: Representation, rho_out: Representation) -> Floats:
    if rho_in.is_permutation and rho_out.is_permutation:
        return orbits.basis(rho_in, rho_out)
    if rho_in.group.is_compact and not (rho_in.is_orthogonal and rho_out.is_orthogonal):
        return _through_orthogonal(rho_in, rho_out)
    return _solved(rho_in, rho_out)


def _solved(rho_in: Representation, rho_out: Representation) -> Floats:
    if rho_in.dim * rho_out.dim > _SMALL and schur.applies(rho_in, rho_out):
        return schur.basis(rho_in, rho_out)
    return nullspace.basis(rho_in, rho_out)


def _through_orthogonal(rho_in: Representation, rho_out: Representation) -> Floats:
    """ρ of a compact group is T⁻¹ ρ' T with ρ' orthogonal; Hom is carried back from there."""
    (turned_in, t_in), (turned_out, t_out) = orthogonalised(rho_in), orthogonalised(rho_out)
    orthogonal = _solved(turned_in, turned_out)
    carried = np.linalg.solve(t_out, orthogonal @ t_in).reshape(-1, rho_out.dim * rho_in.dim)
    rows = np.linalg.qr(carried.T)[0].T
    basis = canonical_rows(rows).reshape(orthogonal.shape)
    _check_commutes(basis, rho_in, rho_out)
    return basis


def _check_commutes(basis: Floats, rho_in: Representation, rho_out: Representation) -> None:
    for out, into in nullspace.constraints(rho_in, rho_out):
        error = np.abs(out @ basis - basis @ into).max(initial=0.0)
        if error > nullspace.ZERO:
            raise GroupError(
                f"rho_in, rho_out: {rho_in!r} and {rho_out!r} are too badly conditioned: what "
                f"should commute with them misses by {error:.1g}. Write them in another basis, in "
                "which all coordinates are of similar size."
            )


@contextmanager
def _reported(rho_in: Representation, rho_out: Representation) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds = time.perf_counter() - start
    if seconds > _SLOW:
        _log.warning(
            "equivariant_basis of %s, %d×%d, took %.1f s; it is cached now",
            rho_in.group,
            rho_out.dim,
            rho_in.dim,
            seconds,
        )
