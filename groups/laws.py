"""Whether a square of numbers is the Cayley table of a group, and where it is not."""

from typing import Any

import numpy as np

from relaxeq.errors import GroupError
from relaxeq.groups.tables import Table

WRITE = "Write table[i][j], the index of element i times element j: [[0, 1], [1, 0]]."


def checked(table: Any) -> Table:
    """The table as integers, or an error that names the law and the elements that break it."""
    mul = _square(table)
    for law in (_check_closed, _check_identity, _check_inverses, _check_associative):
        law(mul)
    return mul


def _square(table: Any) -> Table:
    try:
        given = np.asarray(table)
    except ValueError as error:
        raise GroupError(f"table: rows of unequal length are no square. {WRITE}") from error
    mul: Table = given.astype(np.int64) if given.dtype.kind in "iuf" else np.zeros((0, 0), np.int64)
    if given.ndim != 2 or len(set(given.shape)) != 1 or not mul.size or (mul != given).any():
        raise GroupError(
            f"table: shape {given.shape}, {given.dtype}, is no square of whole numbers. {WRITE}"
        )
    return mul


def _check_closed(mul: Table) -> None:
    outside = np.argwhere((mul < 0) | (mul >= len(mul)))
    if len(outside):
        i, j = outside[0].tolist()
        raise GroupError(
            f"table: not closed: element {i} times element {j} is {mul[i, j]}, "
            f"and the elements are 0..{len(mul) - 1}. Write indices of elements."
        )


def _check_identity(mul: Table) -> None:
    everyone = np.arange(len(mul))
    left, right = (mul == everyone).all(1), (everyone == mul.T).all(1)
    if not (left & right).any():
        nearest = int(np.argmax((mul == everyone).sum(1) + (everyone == mul.T).sum(1)))
        wrong = (mul[nearest] != everyone) | (mul[:, nearest] != everyone)
        raise GroupError(
            f"table: no identity: no element leaves all others unchanged on both sides. Nearest is "
            f"element {nearest}, which changes element {int(np.flatnonzero(wrong)[0])}."
        )


def _check_inverses(mul: Table) -> None:
    identity = int(np.flatnonzero((mul == np.arange(len(mul))).all(1))[0])
    inverse = (mul == identity) & (identity == mul.T)
    without = np.flatnonzero(~inverse.any(1))
    if len(without):
        raise GroupError(
            f"table: no inverse: nothing times element {without[0]} is the identity, "
            f"element {identity}, on both sides."
        )


def _check_associative(mul: Table) -> None:
    for i in range(len(mul)):
        unequal = np.argwhere(mul[mul[i]] != mul[i][mul])
        if len(unequal):
            j, k = unequal[0].tolist()
            raise GroupError(
                f"table: not associative: with a = {i}, b = {j}, c = {k}, (a b) c is "
                f"{mul[mul[i, j], k]} and a (b c) is {mul[i, mul[j, k]]}."
            )
