"""New representations from old ones, and from matrices that a user writes down."""

import operator
from collections.abc import Iterator
from functools import reduce
from typing import Any

import numpy as np

from relaxeq.errors import GroupError
from relaxeq.groups import tables
from relaxeq.groups.abstract import Floats, Group, check_kind
from relaxeq.groups.finite import FiniteGroup, Subgroup
from relaxeq.groups.lie import LieElement, MatrixLieGroup
from relaxeq.groups.representation import (
    TOLERANCE,
    Representation,
    check_representations,
    explicit,
)


def representation(group: Group, images: Any, derivatives: Any = ()) -> Representation:
    """The representation with these matrices for `group.generators` (or for all its elements).

    images: shape (generators, d, d) or (order, d, d). derivatives: for Lie groups, the matrices
    dρ(A_i) of `group.algebra`, shape (algebra, d, d). That they multiply like the group is checked;
    the error names the elements.
    """
    check_kind("group", group, Group, "Write for example groups.cyclic(4).")
    given, slopes = _square_matrices("images", images), _square_matrices("derivatives", derivatives)
    if isinstance(group, FiniteGroup) and len(given) == group.order != group.generator_count:
        rho = representation(group, given[[g.index for g in group.generators]])
        _check_all(group, rho, given)
        return rho
    _check_count("images", given, group.generator_count)
    _check_count("derivatives", slopes, group.algebra_count)
    dim = max(given.shape[1], slopes.shape[1])
    blank = np.zeros((0, dim, dim))
    rho = explicit(group, given if len(given) else blank, slopes if len(slopes) else blank)
    if isinstance(group, FiniteGroup):
        _check_homomorphism(group, rho)
    if isinstance(group, MatrixLieGroup):
        _check_algebra(group, rho)
        _check_loops(group, rho)
    return rho


def permutation(group: FiniteGroup, images: Any) -> Representation:
    """ρ(g) e_j = e_{g·j}, by the images (g·0, …, g·(d−1)) of `group.generators` or all elements."""
    try:
        actions = np.asarray(images, dtype=np.int64)
    except (TypeError, ValueError):
        actions = np.zeros(0, np.int64)
    if actions.ndim != 2 or (np.sort(actions, 1) != np.arange(actions.shape[-1])).any():
        raise GroupError(
            f"images: {images!r} are no permutations of one set. Write for each generator "
            "the images of 0..d−1, each once: [[1, 2, 0]]."
        )
    return representation(group, tables.permutation_matrices(actions))


def quotient(group: FiniteGroup, part: FiniteGroup | Subgroup) -> Representation:
    """The permutation representation on the left cosets t K, in the order of `left_transversal`."""
    check_kind("group", group, FiniteGroup, "Write for example groups.cyclic(4).")
    inside = group.as_subgroup(part)
    coset_of = np.empty(group.order, dtype=np.int64)
    for number, coset in enumerate(inside.left_cosets):
        coset_of[list(coset)] = number
    moved = [group.mul[g.index, list(inside.left_transversal)] for g in group.generators]
    actions = np.reshape([coset_of[m] for m in moved], (-1, inside.index)).astype(np.int64)
    images = tables.permutation_matrices(actions)
    text = f"quotient({list(inside.embedding)})"
    return Representation(group, images, np.zeros((0, inside.index, inside.index)), text)


def restricted(rho: Representation, part: FiniteGroup | Subgroup) -> Representation:
    """ρ on a subgroup K alone: a representation of `K.group`, summand by summand."""
    inside = _finite(rho).as_subgroup(part)
    return reduce(operator.add, [_restricted_term(term, inside) for term in rho.terms])


def induced(sigma: Representation, part: Subgroup) -> Representation:
    """Ind_K^H σ of dimension [H:K]·dim σ: block (j, i) of g is σ(k) where g t_i = t_j k.

    sigma: a representation of `part.group`; t runs over `part.left_transversal`.
    """
    check_representations(sigma=sigma)
    check_kind("part", part, Subgroup, "Write group.subgroup([...]), with elements of the whole.")
    if sigma.group != part.group:
        raise GroupError(
            f"sigma: {sigma.text} is of {sigma.group}, not of {part}. "
            f"Build it on the subgroup's own group: part.group.regular."
        )
    parent, dim = part.parent, part.index * sigma.dim
    images = [_induced_image(sigma, part, g.index) for g in parent.generators]
    text = f"induced({list(part.embedding)}, {sigma.text})"
    return Representation(
        parent, np.reshape(images, (len(images), dim, dim)), np.zeros((0, dim, dim)), text
    )


def change_of_basis(rho: Representation, basis: Any) -> Representation:
    """g ↦ Q ρ(g) Q⁻¹ with Q = `basis`, an invertible (d, d) matrix."""
    check_representations(rho=rho)
    q = _floats(basis)
    if q.shape != (rho.dim, rho.dim) or not np.isfinite(q).all() or np.linalg.cond(q) > 1e12:
        raise GroupError(
            f"basis: {basis!r} is no invertible {rho.dim}×{rho.dim} matrix. "
            f"Write one whose columns are the old basis vectors in the new coordinates."
        )
    back = np.linalg.inv(q)
    text = f"change_of_basis({rho.text}, {q.tolist()!r})"
    return Representation(rho.group, q @ rho.images @ back, q @ rho.derivatives @ back, text)


def matrices(rho: Representation) -> Floats:
    """ρ(g) for all elements of a finite group, shape (order, d, d)."""
    return np.stack([rho(i) for i in range(_finite(rho).order)])


def character(rho: Representation) -> Floats:
    """χ(g) = tr ρ(g) for all elements of a finite group, shape (order,)."""
    chi: Floats = np.einsum("gii->g", matrices(rho))
    return chi


def _restricted_term(rho: Representation, inside: Subgroup) -> Representation:
    group = inside.group
    images = [rho(inside.embedding[g.index]) for g in group.generators]
    shape = (group.generator_count, rho.dim, rho.dim)
    return explicit(group, np.reshape(images, shape), np.zeros((0, rho.dim, rho.dim)))


def _induced_image(sigma: Representation, part: Subgroup, g: int) -> Floats:
    parent, size = part.parent, sigma.dim
    image = np.zeros((part.index * size, part.index * size))
    place = {h: (j, i) for j, c in enumerate(part.left_cosets) for i, h in enumerate(c)}
    for i, t in enumerate(part.left_transversal):
        j, k = place[int(parent.mul[g, t])]
        image[j * size : (j + 1) * size, i * size : (i + 1) * size] = sigma(k)
    return image


def _finite(rho: Representation) -> FiniteGroup:
    check_representations(rho=rho)
    if not isinstance(rho.group, FiniteGroup):
        raise GroupError(f"rho: {rho.group} is no finite group; {rho.text} cannot be listed.")
    return rho.group


def _floats(given: Any) -> Floats:
    """An array; where it is none, one that is too flat for matrices and not finite."""
    try:
        return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        return np.full(1, np.nan)


def _square_matrices(name: str, given: Any) -> Floats:
    stacked = _floats(given)
    if not stacked.size:
        return np.zeros((0, stacked.shape[-1], stacked.shape[-1]))
    if stacked.ndim != 3 or stacked.shape[1] != stacked.shape[2] or not np.isfinite(stacked).all():
        raise GroupError(
            f"{name}: {given!r} are no finite square matrices of one size. "
            "Write one for each generator: [[[0, -1], [1, 0]]]."
        )
    return stacked


def _check_count(name: str, given: Floats, count: int) -> None:
    if len(given) != count:
        raise GroupError(
            f"{name}: {len(given)} matrices, and the group has {count} generators for them. "
            "Write one for each, in the order of the group's generators."
        )


def _check_homomorphism(group: FiniteGroup, rho: Representation) -> None:
    listed = matrices(rho)
    for g, image in zip(group.generators, rho.images, strict=True):
        errors = np.abs(listed @ image - listed[group.mul[:, g.index]]).max(axis=(1, 2))
        if errors.max() > TOLERANCE * max(1.0, np.abs(listed).max() ** 2):
            worst = group.elements[int(np.argmax(errors))]
            raise GroupError(
                f"images: rho({worst}) rho({g}) is not rho({worst @ g}): they differ by "
                f"{errors.max():.2g}. Write the images of group.generators, {group.generators}."
            )


def _check_all(group: FiniteGroup, rho: Representation, given: Floats) -> None:
    errors = np.abs(matrices(rho) - given).max(axis=(1, 2))
    if errors.max() > TOLERANCE * max(1.0, np.abs(given).max()):
        worst = group.elements[int(np.argmax(errors))]
        raise GroupError(
            f"images: rho({worst}) is not the product of those of the generators "
            f"{group.generators}: they differ by {errors.max():.2g}. Write the matrices of all "
            "elements in the order of group.elements, or of the generators alone."
        )


def _check_algebra(group: MatrixLieGroup, rho: Representation) -> None:
    """Sums, brackets and conjugates of generators must go along, where they are generators' sums.

    Generators are taken at norm 1, so that their scale does not matter.
    """
    lengths = np.linalg.norm(group.algebra, axis=(1, 2), keepdims=True)
    lengths = np.where(lengths, lengths, 1.0)
    algebra, derivatives = group.algebra / lengths, rho.derivatives / lengths
    directions = algebra.reshape(group.algebra_count, -1).T
    for what, source, image in _relations(group, rho, algebra, derivatives):
        c, *_ = np.linalg.lstsq(directions, source.ravel(), rcond=None)
        expressed = np.allclose(directions @ c, source.ravel(), atol=TOLERANCE)
        error = np.abs(image - np.tensordot(c, derivatives, 1)).max()
        if expressed and error > TOLERANCE * max(1.0, np.abs(image).max()):
            raise GroupError(
                f"derivatives: they break a law of {group}, at {what}, by {error:.2g}. "
                "Write the derivative along each of group.algebra, in order."
            )


def _relations(
    group: MatrixLieGroup, rho: Representation, algebra: Floats, derivatives: Floats
) -> Iterator[tuple[str, Floats, Floats]]:
    for i, (a, d) in enumerate(zip(algebra, derivatives, strict=True)):
        yield f"algebra[{i}], a sum of others", a, d
        for j, (b, e) in enumerate(zip(algebra, derivatives, strict=True)):
            yield f"the bracket of algebra[{i}] and algebra[{j}]", a @ b - b @ a, d @ e - e @ d
        for k, (s, image) in enumerate(zip(group.discrete, rho.images, strict=True)):
            turned = image @ d @ np.linalg.inv(image)
            yield f"algebra[{i}] seen through discrete[{k}]", s @ a @ np.linalg.inv(s), turned


def _check_loops(group: MatrixLieGroup, rho: Representation) -> None:
    """What is 1 in the group must be 1 in its image."""
    slopes = np.abs(rho.derivatives).max(initial=1.0)
    for loop in group.loops:
        error = np.abs(rho(loop) - np.eye(rho.dim)).max()
        if not error <= 100 * TOLERANCE * slopes:
            raise GroupError(
                f"rho: no representation of {group}, where {_spelled(loop)} is 1: its image is "
                f"not, by {error:.2g}. Write images that multiply as the elements do; where turns "
                "close later than here, take the covering group: a groups.MatrixLieGroup."
            )


def _spelled(element: LieElement) -> str:
    """The word of an element: "exp([6.28]) discrete[0]"."""
    return " ".join(
        f"discrete[{factor}]"
        if isinstance(factor, int)
        else f"exp([{', '.join(f'{c:.3g}' for c in factor)}])"
        for factor in element.word
    )
