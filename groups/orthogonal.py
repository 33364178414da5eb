"""Bases in which the representations of compact groups are orthogonal."""

import numpy as np
from scipy.linalg import expm

from relaxeq.errors import GroupError
from relaxeq.groups.abstract import Floats
from relaxeq.groups.constructions import change_of_basis, matrices, representation
from relaxeq.groups.finite import FiniteGroup
from relaxeq.groups.representation import Representation

_PASSES = 4
_SWEEPS = 100


def orthogonalised(rho: Representation) -> tuple[Representation, Floats]:
    """The orthogonal ρ' = T ρ T⁻¹ of a compact group, and T: TᵀT = ∫ ρ(g)ᵀ ρ(g) dg.

    GroupError where ρ is too badly conditioned for that in float64.
    """
    found, total = rho, np.eye(rho.dim)
    try:
        for _ in range(_PASSES):
            # Rounding errors of a bad basis are left over: the next pass starts from a better one.
            if found.is_orthogonal:
                return representation(rho.group, found.images, found.derivatives), total
            upper = np.linalg.cholesky(_invariant_form(found)).T
            found, total = change_of_basis(found, upper), upper @ total
    except (np.linalg.LinAlgError, GroupError):
        pass
    raise GroupError(
        f"rho: {rho!r} is too badly conditioned for float64: no basis is found in which it is "
        "orthogonal. Write it in another basis, in which all coordinates are of similar size."
    )


def _averages(rho: Representation) -> list[Floats]:
    """Lists of ρ(g); a form that none of their averages changes is invariant."""
    if isinstance(rho.group, FiniteGroup):
        return [matrices(rho)]
    flips = [np.stack([np.eye(rho.dim), image]) for image in rho.images]
    return flips + [_circle(slope) for slope in rho.derivatives]


def _circle(slope: Floats) -> Floats:
    """exp(2πk/n dρ), n more than twice every frequency: squares of ρ average exactly."""
    highest = int(np.abs(np.linalg.eigvals(slope)).max()) + 1
    count = 2 * highest + 1
    return np.stack([expm(2 * np.pi * k / count * slope) for k in range(count)])


@np.errstate(over="ignore", invalid="ignore")
def _invariant_form(rho: Representation) -> Floats:
    """The limit of averages taken in turn: they go on until rounding errors stop them."""
    averages = _averages(rho)
    form, last = np.eye(rho.dim), np.inf
    for _ in range(_SWEEPS):
        before = form
        for listed in averages:
            form = np.mean(listed.transpose(0, 2, 1) @ form @ listed, axis=0)
        scale = np.sqrt(np.diagonal(form))
        change = float((np.abs(form - before) / np.outer(scale, scale)).max())
        if not change < last / 2:
            break
        last = change
    return before
