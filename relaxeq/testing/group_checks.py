"""Checks of groups: that elements multiply, invert and act as those of a group do."""

import itertools
import pickle

import numpy as np
import torch

from relaxeq.errors import GroupError
from relaxeq.fields.action import move_pixels
from relaxeq.groups import (
    Element,
    FiniteGroup,
    LieElement,
    MatrixLieGroup,
    PlanarElement,
    PlanarGroup,
    PointGroup,
    Subgroup,
    planar,
)
from relaxeq.testing.checks import TOLERANCE, CheckError

MANY = 60


def check_group(
    group: FiniteGroup | Subgroup | PlanarGroup | MatrixLieGroup, size: tuple[int, int] = (4, 4)
) -> None:
    """Raise CheckError, naming the elements, unless the group keeps the laws of its kind.

    All: closure, identity, inverses, associativity; equal values hash alike and survive pickling.
    Finite: every element is a product of the generators; matrices of point groups multiply as the
    table says. Subgroups: closed in their parent, cosets part it. Planar: the semidirect product
    law (s1, p1)(s2, p2) = (s1 + R1 s2, p1 p2) is the action on an H×W torus, `size` = (H, W), where
    the group is exact, and on points of the plane elsewhere. Lie: by matrices of random elements.
    """
    if not isinstance(group, FiniteGroup | Subgroup | PlanarGroup | MatrixLieGroup):
        raise GroupError(
            f"group: {group!r} is no group. Give a FiniteGroup, a Subgroup, a PlanarGroup or a "
            "MatrixLieGroup, such as groups.planar('p4')."
        )
    _check_value(group)
    if isinstance(group, Subgroup):
        _check_subgroup(group)
    elif isinstance(group, FiniteGroup):
        _check_finite(group)
    elif isinstance(group, PlanarGroup):
        _check_planar(group, size)
    else:
        _check_lie(group)


def _check_value(group: object) -> None:
    again = pickle.loads(pickle.dumps(group))
    if again != group or hash(again) != hash(group):
        raise CheckError(f"{group!r}: a pickled copy is not equal to it, or hashes otherwise.")


def _check_finite(group: FiniteGroup) -> None:
    elements, e = group.elements, group.identity
    if len(set(elements)) != group.order:
        raise CheckError(f"{group}: {group.order} elements, of which {len(set(elements))} differ.")
    for g in elements:
        if e @ g != g or g @ e != g:
            raise CheckError(f"{group}: the identity {e} does not leave {g} as it is.")
        if g @ ~g != e or ~g @ g != e:
            raise CheckError(f"{group}: {g} times its inverse {~g} is {g @ ~g}, not {e}.")
    _check_table(group)
    _check_generated(group)
    if isinstance(group, PointGroup):
        _check_matrices(group)


def _check_table(group: FiniteGroup) -> None:
    mul = np.array([[(g @ h).index for h in group.elements] for g in group.elements])
    left, right = mul[mul], mul[:, mul]  # (a b) c and a (b c), indexed [a, b, c]
    if (left != right).any():
        a, b, c = (group.elements[i] for i in np.argwhere(left != right)[0])
        raise CheckError(
            f"{group}: ({a} {b}) {c} is {(a @ b) @ c} and {a} ({b} {c}) is {a @ (b @ c)}."
        )


def _check_generated(group: FiniteGroup) -> None:
    reached = {group.identity}
    frontier: set[Element] = {group.identity}
    while frontier:
        frontier = {g @ s for g in frontier for s in group.generators} - reached
        reached |= frontier
    if len(reached) != group.order:
        missing = next(g for g in group.elements if g not in reached)
        raise CheckError(f"{group}: {missing} is no product of the generators {group.generators}.")


def _check_matrices(group: PointGroup) -> None:
    for g, h in itertools.product(group.elements, repeat=2):
        product = group.matrices[g.index] @ group.matrices[h.index]
        error = np.abs(product - group.matrices[(g @ h).index]).max()
        if error > TOLERANCE:
            raise CheckError(f"{group}: R({g}) R({h}) differs from R({g @ h}) by {error:.2e}.")


def _check_subgroup(part: Subgroup) -> None:
    parent = part.parent
    inside = {parent.elements[i] for i in part.embedding}
    for g, h in itertools.product(inside, repeat=2):
        if g @ ~h not in inside:
            raise CheckError(f"{part}: it holds {g} and {h} but not {g} {h}⁻¹ = {g @ ~h}.")
    for name, cosets in (("right", part.right_cosets), ("left", part.left_cosets)):
        if sorted(itertools.chain(*cosets)) != list(range(parent.order)):
            raise CheckError(f"{part}: its {name} cosets {cosets} do not part {parent}.")
    for i, j in itertools.product(range(part.order), repeat=2):
        own = part.embedding[int(part.group.mul[i, j])]
        if own != parent.mul[part.embedding[i], part.embedding[j]]:
            raise CheckError(
                f"{part}: as a group of its own, elements {i} and {j} multiply otherwise."
            )


def _check_planar(group: PlanarGroup, size: tuple[int, int]) -> None:
    _check_finite(group.point_group)
    named = "{" not in str(group)  # as subgroups are, whose text planar does not read
    if named and planar(str(group)) != group:
        raise CheckError(f"{group}: its text reads back as {planar(str(group))}.")
    chosen = _some(group, size)
    check = _check_on_torus if group.exact_on(size) else _check_on_plane
    for a, b in itertools.product(chosen, repeat=2):
        check(a, b, size)
    for a in chosen:
        if a @ ~a != group.identity or ~a @ a != group.identity:
            raise CheckError(f"{group}: {a} times its inverse {~a} is {a @ ~a}.")


def _some(group: PlanarGroup, size: tuple[int, int]) -> list[PlanarElement]:
    """All elements on a small torus; generators, turns and a few shifts on a large one."""
    every = group.elements(size) if group.exact_on(size) else ()
    if every and len(every) <= MANY:
        return list(every)
    turned = [group.element((2, -1), point) for point in group.point_group.elements]
    return [group.identity, *group.generators(size), *turned]


def _check_on_torus(a: PlanarElement, b: PlanarElement, size: tuple[int, int]) -> None:
    pixels = torch.arange(size[0] * size[1]).view(size)
    twice, once = move_pixels(a, move_pixels(b, pixels)), move_pixels(a @ b, pixels)
    gathered = pixels.flatten()[torch.from_numpy((a @ b).pixel_permutation(size))].view(size)
    for what, found in (("a·(b·x)", twice), ("x[permutation of a @ b]", gathered)):
        if not torch.equal(found, once):
            raise CheckError(
                f"{a.group} on {size[0]}×{size[1]}: with a = {a}, b = {b}, {what} is not "
                f"(a @ b)·x:\n{found.tolist()} is not {once.tolist()}."
            )


def _check_on_plane(a: PlanarElement, b: PlanarElement, size: tuple[int, int]) -> None:
    point = np.array([0.3, -1.7])
    inner = b.matrix @ point + b.shift
    found = (a @ b).matrix @ point + (a @ b).shift
    if np.abs(a.matrix @ inner + a.shift - found).max() > 1e-6:
        raise CheckError(f"{a.group}: with a = {a}, b = {b}, a(b q) is not (a @ b) q.")


def _check_lie(group: MatrixLieGroup) -> None:
    chosen: list[LieElement] = [group.random(seed) for seed in range(4)]
    chosen += group.discrete_elements
    for g, h in itertools.product(chosen, repeat=2):
        error = np.abs((g @ h).matrix - g.matrix @ h.matrix).max()
        if error > TOLERANCE * np.abs(g.matrix @ h.matrix).max():
            raise CheckError(f"{group}: {g} @ {h} is not their matrix product, by {error:.2e}.")
    for g in chosen:
        if g @ ~g != group.identity or g @ group.identity != g:
            raise CheckError(f"{group}: {g} times its inverse {~g} is {g @ ~g}.")
