"""Matrix Lie groups, given by generators of the Lie algebra and by discrete generators."""

import itertools
import operator
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from relaxeq.errors import GroupError
from relaxeq.groups import bridge
from relaxeq.groups.abstract import Factor, Floats, Group
from relaxeq.groups.representation import TOLERANCE, Representation, one

_PLANE = [[[0, -1], [1, 0]]]
_SPACE = [
    [[0, 0, 0], [0, 0, -1], [0, 1, 0]],
    [[0, 0, 1], [0, 0, 0], [-1, 0, 0]],
    [[0, -1, 0], [1, 0, 0], [0, 0, 0]],
]
_MIRROR = [[[1, 0], [0, -1]]]
_INVERSION = [[[-1, 0, 0], [0, -1, 0], [0, 0, -1]]]
_LONGEST = 12


@final
class MatrixLieGroup(Group):
    """The n×n matrices exp(Σ c_i A_i), the discrete generators, and all their products.

    `algebra` has shape (r, n, n), `discrete` (s, n, n). Groups are equal when these are, in order.
    Compact or not: SO(3) as well as the Lorentz group.
    """

    def __init__(self, algebra: Any, discrete: Any = (), name: str | None = None) -> None:
        self.algebra = _checked("algebra", algebra)
        self.discrete = _checked("discrete", discrete)
        if not len(self.algebra):
            raise GroupError(
                "algebra: no generator. Write at least one n×n matrix, or, for a finite group, "
                "groups.from_matrices(discrete)."
            )
        size = self.algebra.shape[1]
        if not len(self.discrete):
            self.discrete = np.zeros((0, size, size))
        if self.discrete.shape[1] != size or (np.abs(np.linalg.det(self.discrete)) < 1e-9).any():
            raise GroupError(
                f"discrete: not all are invertible {size}×{size} matrices like the algebra's. "
                "Write matrices of the group, such as diag(1, −1)."
            )
        self.algebra.setflags(write=False)
        self.discrete.setflags(write=False)
        self.name = name or f"<{len(self.algebra)} Lie, {len(self.discrete)} discrete generators>"

    @property
    def generator_count(self) -> int:
        """The number of discrete generators."""
        return len(self.discrete)

    @property
    def algebra_count(self) -> int:
        """The number of Lie algebra generators."""
        return len(self.algebra)

    @cached_property
    def directions(self) -> Floats:
        """c of shape (k, r), with Σ_i c_i A_i orthonormal over entries: a basis of their span."""
        flat = self.algebra.reshape(self.algebra_count, -1)
        lengths = np.linalg.norm(flat, axis=1)
        units = flat / np.where(lengths, lengths, 1.0)[:, None]
        turn, scales, _ = np.linalg.svd(units, full_matrices=False)
        kept = scales > TOLERANCE
        coefficients: Floats = (turn[:, kept] / scales[kept]).T / np.where(lengths, lengths, 1.0)
        return coefficients

    def factors(self, g: "LieElement") -> tuple[Factor, ...]:
        """The element as exponentials and discrete generators, in order."""
        if not isinstance(g, LieElement) or g.group != self:
            raise GroupError(f"g: {g!r} is not an element of {self}. Write group.exp([...]).")
        return g.word

    @property
    def identity(self) -> "LieElement":
        """The unit matrix."""
        return LieElement(self, ())

    def exp(self, coefficients: Sequence[int | float]) -> "LieElement":
        """exp(Σ c_i A_i): for SO(2) an angle in radians, for SO(3) a rotation vector."""
        try:
            c = tuple(np.asarray(coefficients, dtype=np.float64).ravel().tolist())
        except (TypeError, ValueError):
            c = (np.nan,)
        if not np.isfinite(c).all():
            raise GroupError(
                f"coefficients: {coefficients!r} are no finite numbers. "
                "Write one for each of group.algebra: group.exp([0.5])."
            )
        if len(c) != self.algebra_count:
            raise GroupError(
                f"coefficients: {len(c)} numbers for {self.algebra_count} generators of {self}. "
                "Write one for each of group.algebra."
            )
        return LieElement(self, (c,))

    @property
    def discrete_elements(self) -> "tuple[LieElement, ...]":
        """The discrete generators as elements."""
        return tuple(LieElement(self, (i,)) for i in range(self.generator_count))

    def random(self, seed: int, scale: float = 1.0) -> "LieElement":
        """A product of random generators: c ~ N(0, scale²), each discrete one with chance ½."""
        rng = np.random.default_rng(seed)
        element = self.exp((scale * rng.normal(size=self.algebra_count)).tolist())
        for d in self.discrete_elements:
            element = element @ d if rng.random() < 0.5 else element
        return element

    @cached_property
    def natural(self) -> Representation:
        """The matrices themselves."""
        return Representation(self, self.discrete, self.algebra, "natural")

    @cached_property
    def trivial(self) -> Representation:
        """ρ(g) = 1."""
        return one(self)

    @property
    def is_compact(self) -> bool:
        """Whether it is known to be compact: SO2, O2, SO3 or O3. All their irreps are known."""
        return self in _COMPACT

    @cached_property
    def loops(self) -> "tuple[LieElement, ...]":
        """Words that multiply to 1: full turns, and powers of discrete generators and their pairs.

        Those of at most 12 turns of the slowest plane, or 12 equal factors.
        """
        turns = [turn for i in range(self.algebra_count) if (turn := self._full_turn(i))]
        flips = self.discrete_elements
        words = [*flips, *(a @ b for a, b in itertools.combinations(flips, 2))]
        return (*turns, *(power for word in words if (power := self._power(word))))

    def _full_turn(self, i: int) -> "LieElement | None":
        speeds = np.abs(np.linalg.eigvals(self.algebra[i]))
        moving = speeds[speeds > TOLERANCE * speeds.max(initial=0.0)]
        if not len(moving):
            return None
        unit = np.eye(self.algebra_count)[i] * 2 * np.pi / moving.min()
        return self._first_identity(self.exp((n * unit).tolist()) for n in range(1, _LONGEST + 1))

    def _power(self, word: "LieElement") -> "LieElement | None":
        powers = itertools.accumulate(itertools.repeat(word, _LONGEST), operator.matmul)
        return self._first_identity(powers)

    def _first_identity(self, words: "Iterable[LieElement]") -> "LieElement | None":
        return next((word for word in words if word == self.identity), None)

    def irrep(self, *label: int) -> Representation:
        """An irrep by escnn's label: (k) for SO(2), SO(3); (j, k) for O(2), O(3)."""
        if not all(isinstance(k, int | np.integer) for k in label):
            raise GroupError(
                f"irrep: {label!r} are no whole numbers. "
                "Write irrep(1) of SO2 and SO3, irrep(0, 1) of O2 and O3."
            )
        if not self.is_compact:
            raise GroupError(
                f"irrep: irreps are known for SO2, O2, SO3 and O3, not for {self}. "
                "Use group.natural, its tensor products and duals, or groups.representation."
            )
        return _irrep(self, tuple(map(int, label)))

    def irreps(self) -> Iterator[Representation]:
        """All irreps without end, by ascending degree; none where they are not known."""
        if self.is_compact:
            for degree in itertools.count():
                yield from (self.irrep(*label) for label in bridge.labels(_COMPACT[self], degree))

    def _key(self) -> tuple[Any, ...]:
        return (self.algebra.shape, (self.algebra + 0.0).tobytes(), (self.discrete + 0.0).tobytes())

    def __reduce__(self) -> tuple[Any, ...]:
        return (MatrixLieGroup, (np.array(self.algebra), np.array(self.discrete), self.name))


@final
class LieElement:
    """A product of exponentials and discrete generators: `g @ h` multiplies, `~g` inverts.

    Elements are equal when their matrices agree to 1e-9.
    """

    def __init__(self, group: MatrixLieGroup, word: tuple[Factor, ...]) -> None:
        self.group = group
        self.word = word

    @cached_property
    def matrix(self) -> Floats:
        """The element itself, (n, n)."""
        return self.group.natural(self)

    def __matmul__(self, other: "LieElement") -> "LieElement":
        if not isinstance(other, LieElement):
            return NotImplemented
        if other.group != self.group:
            raise GroupError(
                f"g @ h: one is of {self.group}, the other of {other.group}. "
                "Multiply elements of one group."
            )
        return LieElement(self.group, self.word + other.word)

    def __invert__(self) -> "LieElement":
        def undo(factor: Factor) -> Factor:
            return ~factor if isinstance(factor, int) else tuple(-c for c in factor)

        return LieElement(self.group, tuple(undo(f) for f in reversed(self.word)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LieElement):
            return NotImplemented
        return self.group == other.group and bool(
            np.allclose(self.matrix, other.matrix, rtol=0, atol=TOLERANCE)
        )

    def __hash__(self) -> int:
        return hash(self.group)

    def __repr__(self) -> str:
        rows = "; ".join(" ".join(f"{x:.3g}" for x in row) for row in self.matrix)
        return f"{self.group}[{rows}]"


def SO2() -> MatrixLieGroup:  # noqa: N802  (the name is mathematics')
    """Rotations of the plane; `exp([angle])`, radians."""
    return MatrixLieGroup(_PLANE, name="SO2")


def O2() -> MatrixLieGroup:  # noqa: N802
    """Rotations and reflections of the plane; the discrete generator is diag(1, −1)."""
    return MatrixLieGroup(_PLANE, _MIRROR, name="O2")


def SO3() -> MatrixLieGroup:  # noqa: N802
    """Rotations of space; `exp(rotation_vector)`."""
    return MatrixLieGroup(_SPACE, name="SO3")


def O3() -> MatrixLieGroup:  # noqa: N802
    """Rotations and reflections of space; the discrete generator is −I."""
    return MatrixLieGroup(_SPACE, _INVERSION, name="O3")


@cache
def _irrep(group: MatrixLieGroup, label: tuple[int, ...]) -> Representation:
    images, derivatives = bridge.lie_irrep(_COMPACT[group], label)
    return Representation(group, images, derivatives, f"irrep({', '.join(map(str, label))})")


def _checked(name: str, given: Any) -> NDArray[np.float64]:
    try:
        stacked = np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        stacked = np.full((1, 1), np.nan)
    if not stacked.size:
        return np.zeros((0, 0, 0))
    if stacked.ndim != 3 or stacked.shape[1] != stacked.shape[2] or not np.isfinite(stacked).all():
        raise GroupError(
            f"{name}: shape {stacked.shape} is no list of finite square matrices of one size. "
            "Write [[[0, -1], [1, 0]]] for rotations of the plane."
        )
    return stacked


_COMPACT = {g: g.name for g in (SO2(), O2(), SO3(), O3())}
