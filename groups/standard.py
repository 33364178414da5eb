"""The named families of finite groups."""

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from relaxeq.errors import GroupError
from relaxeq.groups import tables
from relaxeq.groups.abstract import check_kind
from relaxeq.groups.finite import Element, FiniteGroup, Subgroup
from relaxeq.groups.generated import from_matrices, from_permutations
from relaxeq.groups.table_group import TableGroup

_QUARTER_TURN = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
_DIAGONAL_TURN = [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
_INVERSION = (-np.eye(3)).tolist()


def cyclic(n: int) -> FiniteGroup:
    """C_n: element k is r^k, naturally the rotation of the plane by k·360°/n."""
    n = _whole("cyclic", n)
    return TableGroup(tables.cyclic(n), f"C{n}", power_names(n), rotations(n))


def trivial() -> FiniteGroup:
    """{e}, which is cyclic(1)."""
    return TableGroup(tables.cyclic(1), "e", ("e",), rotations(1))


def dihedral(n: int) -> FiniteGroup:
    """D_n of order 2n: element k + n f is r^k s^f (rotations first), with s r s = r⁻¹."""
    n = _whole("dihedral", n)
    return TableGroup(tables.dihedral(n), f"D{n}", dihedral_names(n), reflections(n))


def symmetric(n: int) -> FiniteGroup:
    """S_n of order n!: all permutations of 0..n−1, lexicographically; (p q)(i) = p(q(i))."""
    n = _whole("symmetric", n)
    if n > 6:
        raise GroupError(f"symmetric(n): n = {n} has {n}! elements; the table is kept up to n = 6.")
    points = range(n)
    swap, turn = (*points[1::-1], *points[2:]), (*points[1:], 0)
    return from_permutations([swap, turn], name=f"S{n}")


def octahedral() -> FiniteGroup:
    """O of order 24: the rotations of the cube, naturally as 3×3 matrices."""
    return from_matrices([_QUARTER_TURN, _DIAGONAL_TURN], name="O")


def full_octahedral() -> FiniteGroup:
    """O_h of order 48: rotations and reflections of the cube, naturally as 3×3 matrices."""
    return from_matrices([_QUARTER_TURN, _DIAGONAL_TURN, _INVERSION], name="Oh")


def icosahedral() -> FiniteGroup:
    """I of order 60: the rotations of the icosahedron, naturally as 3×3 matrices."""
    return from_matrices([_fifth_turn(), _DIAGONAL_TURN], name="I")


def full_icosahedral() -> FiniteGroup:
    """I_h of order 120: rotations and reflections of the icosahedron, as 3×3 matrices."""
    return from_matrices([_fifth_turn(), _DIAGONAL_TURN, _INVERSION], name="Ih")


def direct_product(*factors: FiniteGroup) -> FiniteGroup:
    """G1 × G2 × …: element i·|G2| + j is the pair (i, j); `natural` is the direct sum."""
    if not factors:
        raise GroupError("factors: none given. Write groups.direct_product(groups.cyclic(2), ...).")
    for factor in factors:
        check_kind("factors", factor, FiniteGroup, "Write for example groups.cyclic(2).")
    product = factors[0]
    for factor in factors[1:]:
        product = _pair(product, factor)
    return product


def subgroup(group: FiniteGroup, generators: Iterable[Element | int]) -> Subgroup:
    """The subgroup of `group` that these elements (or indices of elements) generate."""
    check_kind("group", group, FiniteGroup, "Write for example groups.dihedral(4).")
    return group.subgroup(generators)


def power_names(n: int) -> tuple[str, ...]:
    """e, r, r2, …"""  # noqa: D415
    return tuple("e" if k == 0 else "r" if k == 1 else f"r{k}" for k in range(n))


def dihedral_names(n: int) -> tuple[str, ...]:
    """e, r, r2, …, s, rs, r2s, …"""  # noqa: D415
    return power_names(n) + tuple("s" if p == "e" else f"{p}s" for p in power_names(n))


def rotations(n: int) -> NDArray[np.float64]:
    """R^k of shape (n, 2, 2), R the turn by 360°/n; exact for quarter turns."""
    angles = 2 * np.pi * np.arange(n) / n
    c, s = np.cos(angles), np.sin(angles)
    turns: NDArray[np.float64] = np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)
    return np.where(np.abs(turns - np.rint(turns)) < 1e-12, np.rint(turns) + 0.0, turns)


def reflections(n: int) -> NDArray[np.float64]:
    """R^k F^f of shape (2n, 2, 2), rotations first, F = diag(1, −1)."""
    turns = rotations(n)
    return np.concatenate([turns, turns @ np.diag([1.0, -1.0]) + 0.0])


def _pair(left: FiniteGroup, right: FiniteGroup) -> FiniteGroup:
    i, j = np.divmod(np.arange(left.order * right.order), right.order)
    mul = left.mul[np.ix_(i, i)] * right.order + right.mul[np.ix_(j, j)]
    names = [f"({left.names[a]}, {right.names[b]})" for a, b in zip(i, j, strict=True)]
    concrete = None
    if left.concrete is not None and right.concrete is not None:
        pairs = zip(left.concrete[i], right.concrete[j], strict=True)
        concrete = np.array([block_diag(a, b) for a, b in pairs])
    return TableGroup(mul, f"{left} × {right}", names, concrete)


def _fifth_turn() -> NDArray[np.float64]:
    """A fifth of a turn about the vertex (0, 1, φ) of the icosahedron."""
    phi = (1 + 5**0.5) / 2
    return np.array([[phi - 1, -phi, 1], [phi, 1, phi - 1], [-1, phi - 1, phi]]) / 2


def _whole(function: str, n: Any) -> int:
    try:
        value = operator.index(n)
    except TypeError:
        value = 0
    if value < 1 or isinstance(n, bool):
        raise GroupError(f"{function}(n): n = {n!r} is not a whole number from 1: {function}(4).")
    return value
