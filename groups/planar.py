"""Planar groups Z2 ⋊ H: translations of the torus, and a point group about its centre."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from relaxeq.errors import GroupError
from relaxeq.groups.abstract import check_kind
from relaxeq.groups.finite import Element
from relaxeq.groups.point import PointGroup, p1, point_group

Shift = tuple[int | float, int | float]
Size = tuple[int, int]


@final
@dataclass(frozen=True, eq=True, repr=False)
class PlanarGroup:
    """Z2 ⋊ H with H a point group. `str` prints "Z2 ⋊ p4".

    `planar` reads that back, but not the name of a subgroup, as in "Z2 ⋊ p4m{e, rs}".
    """

    point_group: PointGroup

    def __post_init__(self) -> None:
        write = "Write groups.p4(), groups.p4m() or groups.point_group('C4')."
        check_kind("point group", self.point_group, PointGroup, write)

    @property
    def exact(self) -> bool:
        """Whether H maps the square grid to itself; if not, its action on pixels is approximate."""
        return self.point_group.on_lattice

    def exact_on(self, size: Size) -> bool:
        """Whether the group maps the H×W torus to itself: a quarter turn needs H = W."""
        height, width = check_size(size)
        return self.exact and (height == width or not self.point_group.turns)

    def element(self, shift: Shift = (0, 0), point: Element | int | None = None) -> "PlanarElement":
        """The map q ↦ R q + shift: first the point group about the centre, then the shift.

        shift: (dy, dx) in pixels, down and right; whole numbers where the group is exact.
        point: an element of `point_group` (or its index); the identity if left out.
        """
        index = self.point_group.identity.index if point is None else self.point_group.index(point)
        return PlanarElement(
            self, _checked_shift(shift, self.exact), self.point_group.elements[index]
        )

    @property
    def identity(self) -> "PlanarElement":
        """No shift, no turn."""
        return self.element()

    def generators(self, size: Size) -> "tuple[PlanarElement, ...]":
        """The two unit shifts, where they move anything on this torus, and generators of H."""
        height, width = check_size(size)
        shifts = [s for s, n in (((1, 0), height), ((0, 1), width)) if n > 1]
        points = [self.element(point=g) for g in self.point_group.generators]
        return (*(self.element(s) for s in shifts), *points)

    def elements(self, size: Size) -> "tuple[PlanarElement, ...]":
        """All |H|·height·width elements that act differently on an H×W torus."""
        height, width = check_size(size)
        return tuple(
            self.element((dy, dx), g)
            for g in self.point_group.elements
            for dy in range(height)
            for dx in range(width)
        )

    def __repr__(self) -> str:
        return "Z2" if self.point_group == p1() else f"Z2 ⋊ {self.point_group}"


@final
@dataclass(frozen=True, eq=True, repr=False)
class PlanarElement:
    """The map q ↦ R q + shift of pixel coordinates; `a @ b` does b first, `~a` undoes a."""

    group: PlanarGroup
    shift: Shift
    point: Element

    @property
    def matrix(self) -> NDArray[Any]:
        """R, shape (2, 2), on (row, column)."""
        matrix: NDArray[Any] = self.group.point_group.matrices[self.point.index]
        return matrix

    def __matmul__(self, other: "PlanarElement") -> "PlanarElement":
        """(s1, p1)(s2, p2) = (s1 + R1 s2, p1 p2)."""
        if not isinstance(other, PlanarElement):
            return NotImplemented
        if other.group != self.group:
            raise GroupError(
                f"a @ b: {self} is of {self.group} and {other} is of {other.group}. "
                "Multiply elements of one group."
            )
        shift = np.add(self.shift, self.matrix @ np.asarray(other.shift))
        return self.group.element(tuple(shift.tolist()), self.point @ other.point)

    def __invert__(self) -> "PlanarElement":
        shift = -(self.matrix.T @ np.asarray(self.shift))
        return self.group.element(tuple(shift.tolist()), ~self.point)

    def pixel_permutation(self, size: Size) -> NDArray[np.int64]:
        """perm of shape (H·W,), row-major, with (a·x)[p] = x[perm[p]]; refused where not exact."""
        height, width = check_size(size)
        if not self.group.exact_on(size):
            raise GroupError(
                f"size: {self.group} does not map a {height}×{width} torus to itself. "
                "Quarter turns need height = width; only C1 C2 C4 D1 D2 D4 keep the square grid."
            )
        # Doubled coordinates about the centre stay whole numbers on even grids too.
        pixels = np.indices((height, width)).reshape(2, -1).T
        centre = np.array([height - 1, width - 1])
        doubled = (2 * (pixels - np.asarray(self.shift)) - centre) @ self.matrix
        row, column = ((doubled + centre) // 2 % [height, width]).T
        return np.asarray(row * width + column, dtype=np.int64)

    def __repr__(self) -> str:
        return f"(shift=({self.shift[0]}, {self.shift[1]}), point={self.point})"


def Z2() -> PlanarGroup:  # noqa: N802  (the name is the paper's)
    """All translations of the grid, and nothing else: the planar group Z2 ⋊ {e}."""
    return PlanarGroup(p1())


def semidirect(translations: PlanarGroup, point: PointGroup) -> PlanarGroup:
    """Z2 ⋊ H: `semidirect(Z2(), p4())`."""
    if translations != Z2():
        raise GroupError(
            f"translations: {translations!r} is not Z2. "
            "Write groups.semidirect(groups.Z2(), groups.p4())."
        )
    return PlanarGroup(point)


def planar(text: str) -> PlanarGroup:
    """Read "Z2", "p4", "Z2 ⋊ p4" or "Z2 x D4"; the name of a point group H alone means Z2 ⋊ H."""
    if not isinstance(text, str):
        raise GroupError(f"text: {text!r} is not text. Write groups.planar('Z2 ⋊ p4').")
    head, cross, tail = text.replace("⋊", "x").replace(" ", "").partition("x")
    name = tail if cross else head
    if cross and head != "Z2":
        raise GroupError(f"text: {text!r} does not begin with Z2. Write 'Z2 ⋊ p4', 'p4' or 'Z2'.")
    return Z2() if name == "Z2" and not cross else PlanarGroup(point_group(name))


def check_size(size: Any) -> Size:
    """The size as two positive integers, or a GroupError."""
    try:
        height, width = (int(n) for n in size)
    except (TypeError, ValueError):
        height = width = 0
    if height < 1 or width < 1 or tuple(size) != (height, width):
        raise GroupError(
            f"size: {size!r} is not a pair of positive whole numbers. Write size=(32, 32)."
        )
    return height, width


def _checked_shift(shift: Any, whole: bool) -> Shift:
    try:
        pair = np.asarray(shift)
    except (TypeError, ValueError):
        pair = np.zeros(0)
    if pair.shape != (2,) or pair.dtype.kind not in "iuf" or not np.isfinite(pair).all():
        raise GroupError(f"shift: {shift!r} is not a pair of numbers. Write shift=(dy, dx).")
    dy, dx = map(float, pair)
    if not whole:
        # Sums of cosines: rounding lets equal elements compare equal.
        return round(dy, 9) + 0.0, round(dx, 9) + 0.0
    if not (dy.is_integer() and dx.is_integer()):
        raise GroupError(f"shift: {shift!r} is not in whole pixels. Write shift=(1, 2).")
    return int(dy), int(dx)
