"""The named families of finite groups."""

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

from relaxeq.errors import GroupError
from relaxeq.groups.finite import Element, FiniteGroup, Subgroup, TableGroup


def cyclic(n: int) -> FiniteGroup:
    """C_n: element k is r^k."""
    _check_positive("cyclic", n)
    k = np.arange(n)
    return TableGroup((k[:, None] + k) % n, f"C{n}", power_names(n))


def trivial() -> FiniteGroup:
    """{e}, which is cyclic(1)."""
    return TableGroup(np.zeros((1, 1), dtype=np.int64), "e", ("e",))


def dihedral(n: int) -> FiniteGroup:
    """D_n of order 2n: element k + n f is r^k s^f (rotations first), with s r s = r⁻¹."""
    _check_positive("dihedral", n)
    f, k = np.divmod(np.arange(2 * n), n)
    sign = 1 - 2 * f[:, None]
    mul = (k[:, None] + sign * k) % n + n * (f[:, None] ^ f)
    return TableGroup(mul, f"D{n}", dihedral_names(n))


def subgroup(group: FiniteGroup, generators: Iterable[Element | int]) -> Subgroup:
    """The subgroup of `group` that these elements (or indices of elements) generate."""
    return group.subgroup(generators)


def power_names(n: int) -> tuple[str, ...]:
    """e, r, r2, …"""
    return tuple("e" if k == 0 else "r" if k == 1 else f"r{k}" for k in range(n))


def dihedral_names(n: int) -> tuple[str, ...]:
    """e, r, r2, …, s, rs, r2s, …"""
    rotations = power_names(n)
    return rotations + tuple("s" if name == "e" else f"{name}s" for name in rotations)


def _check_positive(function: str, n: Any) -> None:
    try:
        positive = operator.index(n) > 0
    except TypeError:
        positive = False
    if not positive or isinstance(n, bool):
        raise GroupError(
            f"{function}(n): n = {n!r} is not a whole number from 1. Write {function}(4)."
        )
