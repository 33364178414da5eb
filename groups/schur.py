"""Hom by Schur's lemma: split both sides into irreps, and join equal ones."""

import itertools
from collections.abc import Iterator
from functools import cache

import numpy as np

from relaxeq.errors import GroupError
from relaxeq.groups import irreps, nullspace
from relaxeq.groups.abstract import Floats
from relaxeq.groups.canonical import canonical_rows
from relaxeq.groups.finite import FiniteGroup
from relaxeq.groups.lie import MatrixLieGroup
from relaxeq.groups.representation import Representation, explicit


def applies(rho_in: Representation, rho_out: Representation) -> bool:
    """Whether both are orthogonal, of a group whose irreps are known."""
    known = next(_irreps(rho_in), None) is not None
    return known and rho_in.is_orthogonal and rho_out.is_orthogonal


def basis(rho_in: Representation, rho_out: Representation) -> Floats:
    """Shape (K, d_out, d_in): all V Uᵀ with V: ψ → ρ_out and U: ψ → ρ_in, over the irreps ψ.

    V runs over Hom(ψ, ρ_out), U over one map for each copy of ψ in ρ_in: the others are U composed
    with End ψ, which V has already.
    """
    if rho_in.dim <= rho_out.dim:
        found = _joined(rho_in, rho_out)
    else:
        # Both are orthogonal, so that transposing turns Hom round; the smaller side is split first.
        found = _joined(rho_out, rho_in).transpose(0, 2, 1)
    rows = found.reshape(-1, rho_out.dim * rho_in.dim)
    return canonical_rows(rows).reshape(-1, rho_out.dim, rho_in.dim)


def _joined(rho_in: Representation, rho_out: Representation) -> Floats:
    """The maps V Uᵀ, orthonormal."""
    found = [np.zeros((0, rho_out.dim, rho_in.dim))]
    missing = rho_in.dim
    for psi in _irreps(rho_in):
        into = _copies(nullspace.basis(psi, rho_in), nullspace.basis(psi, psi))
        if len(into):
            missing -= len(into) * psi.dim
            products = np.einsum("aij,bkj->abik", nullspace.basis(psi, rho_out), into)
            found.append(products.reshape(-1, rho_out.dim, rho_in.dim) * np.sqrt(psi.dim))
        if missing == 0:
            break
    if missing:
        raise GroupError(
            f"rho: {rho_in.text} is no representation of {rho_in.group}: {missing} of its "
            f"{rho_in.dim} dimensions hold no irrep. Check its matrices: a full turn must be 1."
        )
    return np.concatenate(found)


def _irreps(rho: Representation) -> Iterator[Representation]:
    """The irreps that rho can hold."""
    if isinstance(rho.group, FiniteGroup):
        return iter(_split(rho.group))
    assert isinstance(rho.group, MatrixLieGroup)
    # No frequency of rho exceeds the norm of the derivative of a rotation.
    highest = np.linalg.norm(rho.derivatives, ord=2, axis=(1, 2)).max() + 0.5
    return itertools.takewhile(lambda psi: _degree(psi) < highest, rho.group.irreps())


@cache
def _split(group: FiniteGroup) -> tuple[Representation, ...]:
    """Irreps equivalent to `group.irreps`: any do here, and escnn's may take it ten seconds."""
    found = irreps.split(group.mul)
    return tuple(explicit(group, images, np.zeros((0, *images.shape[1:]))) for images in found)


def _degree(psi: Representation) -> float:
    return float(np.linalg.norm(psi.derivatives[-1], ord=2))


def _copies(maps: Floats, endomorphisms: Floats) -> Floats:
    """Maps ψ → ρ of norm 1, one for each copy of ψ, whose images are orthogonal."""
    rest, chosen = maps, []
    while len(rest):
        chosen.append(rest[0])
        # End ψ is R, C or H: these maps are orthogonal to each other, and all of one norm.
        span = np.stack([rest[0] @ e for e in endomorphisms]).reshape(len(endomorphisms), -1)
        span /= np.linalg.norm(span, axis=1, keepdims=True)
        flat = rest.reshape(len(rest), -1)
        _, scales, rows = np.linalg.svd(flat - (flat @ span.T) @ span, full_matrices=False)
        rest = rows[scales > 0.5].reshape(-1, *maps.shape[1:])
    return np.stack(chosen) if chosen else maps
