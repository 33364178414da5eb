"""Checks of representations: that matrices multiply as the elements of their group do."""

import itertools
import pickle
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxeq.groups import FiniteGroup, LieElement, MatrixLieGroup, Representation, parse
from relaxeq.groups.representation import check_representations
from relaxeq.testing.checks import TOLERANCE, CheckError

SMALL = 30


def check_representation(rho: Representation) -> None:
    """Raise CheckError, naming elements and numbers, unless ρ is a representation of `rho.group`.

    ρ(g) is a float64 (d, d) matrix, ρ(e) = 1, ρ(g h) = ρ(g) ρ(h), ρ(g⁻¹) = ρ(g)⁻¹; ρ equals its
    pickled copy, and its text as read back. Finite groups: over all pairs (with generators alone
    above 30 elements). Lie groups: ρ is the same for different words of one element, g exp(X) g⁻¹
    and exp(g X g⁻¹), at random g.
    """
    check_representations(rho=rho)
    again = pickle.loads(pickle.dumps(rho))
    for what, copy in (
        ("a pickled copy", again),
        ("its text, read back,", parse(rho.group, str(rho))),
    ):
        if copy != rho or hash(copy) != hash(rho):
            raise CheckError(f"{rho!r}: {what} is not equal to it.")
    _check_images(rho, _elements(rho))
    if isinstance(rho.group, MatrixLieGroup):
        _check_words(rho, rho.group)
    else:
        _check_pairs(rho)


def _elements(rho: Representation) -> Iterable[Any]:
    group = rho.group
    if isinstance(group, FiniteGroup):
        return group.elements
    assert isinstance(group, MatrixLieGroup)
    return (*group.discrete_elements, *(group.random(seed) for seed in range(4)))


def _check_images(rho: Representation, elements: Iterable[Any]) -> None:
    for g in elements:
        image, back = rho(g), rho(~g)
        if image.shape != (rho.dim, rho.dim) or image.dtype != np.float64:
            raise CheckError(
                f"{rho!r}: ρ({g}) is {image.dtype} of shape {image.shape}, not float64 of shape "
                f"({rho.dim}, {rho.dim})."
            )
        _compare(f"{rho!r}: ρ({g}) ρ({g})⁻¹", image @ back, np.eye(rho.dim))


def _check_pairs(rho: Representation) -> None:
    group = rho.group
    assert isinstance(group, FiniteGroup)
    _compare(f"{rho!r}: ρ(e)", rho(group.identity), np.eye(rho.dim))
    images = [rho(g) for g in group.elements]
    right = group.elements if group.order <= SMALL else group.generators
    for g, h in itertools.product(group.elements, right):
        product = images[g.index] @ images[h.index]
        _compare(f"{rho!r}: ρ({g}) ρ({h}) against ρ({g @ h})", product, images[(g @ h).index])


def _check_words(rho: Representation, group: MatrixLieGroup) -> None:
    _compare(f"{rho!r}: ρ(e)", rho(group.identity), np.eye(rho.dim))
    basis = group.algebra.reshape(group.algebra_count, -1).T
    for g in _elements(rho):
        for i in range(group.algebra_count):
            unit = np.eye(group.algebra_count)[i]
            turned = g.matrix @ group.algebra[i] @ np.linalg.inv(g.matrix)
            c, *_ = np.linalg.lstsq(basis, turned.ravel(), rcond=None)
            if np.allclose(basis @ c, turned.ravel(), atol=TOLERANCE):
                word: LieElement = g @ group.exp(unit.tolist()) @ ~g
                what = f"{rho!r}: ρ(g exp(A_{i}) g⁻¹) against ρ(exp(g A_{i} g⁻¹)), g = {g}"
                _compare(what, rho(word), rho(group.exp(c.tolist())))


def _compare(what: str, found: NDArray[Any], expected: NDArray[Any]) -> None:
    error = float(np.abs(found - expected).max())
    if not error <= 100 * TOLERANCE * max(1.0, float(np.abs(expected).max())):
        raise CheckError(
            f"{what}: they differ by {error:.2e}:\n{np.round(found, 4).tolist()}\nis not\n"
            f"{np.round(expected, 4).tolist()}."
        )
