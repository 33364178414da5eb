"""Places of a weight, their distances, and the anchors among them (§3.1, App. A)."""

import math
from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from relaxeq.errors import GroupError
from relaxeq.fields import Field
from relaxeq.groups import FiniteGroup, PointGroup
from relaxeq.paths.space import Vectors
from relaxeq.paths.stages.lattice import Index

Floats = NDArray[np.float64]
DESIGNS = ("grid", "halton")


@final
@dataclass(frozen=True, eq=False)
class Places:
    """The n places p of a weight's spatial axis: coordinates and an element of a finite group each.

    `positions` (n, 2) are rows and columns in pixels; `periods` are those of a torus, or None;
    `turns` (n,) are elements of a group, `between` (|H|, |H|) their squared distances. The squared
    distance of (p, k) and (q, l) is |p − q|² + between[k, l]. On a torus |p − q| is the chord
    (n/π) sin(π Δ/n) of each axis: it agrees with Δ for near places, wraps around, is smooth
    everywhere (Δ itself has a kink half way round) and makes exp(−ω² d²) positive definite.
    """

    positions: Floats
    periods: tuple[int, int] | None
    turns: Index
    between: Floats

    def __len__(self) -> int:
        return len(self.positions)

    def squares(self, z: Floats, turns: Index) -> Floats:
        """Squared distances (M, n) of anchors at z (M, 2), turned by `turns` (M,)."""
        steps = z[:, None] - self.positions[None]
        if self.periods is not None:
            periods = np.array(self.periods)
            steps = np.sin(np.pi * steps / periods) * periods / np.pi
        squares: Floats = (steps**2).sum(-1) + self.between[turns][:, self.turns]
        return squares


@final
@dataclass(frozen=True, eq=False)
class Anchors:
    """M anchors: coordinates z (M, 2) in pixels and elements of the group `turns` (M,)."""

    z: Floats
    turns: Index


@lru_cache(maxsize=64)
def torus_places(size: tuple[int, int]) -> Places:
    """All pixels of an H×W torus in row-major order."""
    pixels = np.indices(size).reshape(2, -1).T.astype(float)
    return Places(pixels, size, np.zeros(len(pixels), np.int64), np.zeros((1, 1)))


@lru_cache(maxsize=64)
def filter_places(kernel: int, group: PointGroup | None = None) -> Places:
    """The taps δ of a k×k filter, or all pairs (k, δ) with an orientation k, orientations first.

    Offsets have the Euclidean distance: a filter is a window, not a torus. With orientations the
    distance is left-invariant under Z2 ⋊ H, whose elements (k, δ) are.
    """
    offsets = np.indices((kernel, kernel)).reshape(2, -1).T - kernel // 2.0
    if group is None:
        return Places(offsets, None, np.zeros(len(offsets), np.int64), np.zeros((1, 1)))
    turns = np.repeat(np.arange(group.order), len(offsets))
    return Places(np.tile(offsets, (group.order, 1)), None, turns, group_squares(group))


def group_places(group: FiniteGroup) -> Places:
    """The elements of a finite group."""
    return _group_places(group, group.written)


@lru_cache(maxsize=64)
def _group_places(group: FiniteGroup, written: Hashable) -> Places:
    origin = np.zeros((group.order, 2))
    return Places(origin, None, np.arange(group.order), group_squares(group))


def group_squares(group: FiniteGroup) -> Floats:
    """Squared distances d²(g, h) = ‖ρ(g) − ρ(h)‖² / dim ρ = 2 − 2 tr ρ(g⁻¹h) / dim ρ.

    ρ is the orthogonal representation in which the group was written down, as point groups and
    permutations are (a quarter turn is √2, a half turn 2), or else the regular one, in which all
    elements are √2 apart. Left-invariant, d(ag, ah) = d(g, h), and Gaussian kernels of it are
    positive definite.
    """
    traces = _traces(group)
    squares: Floats = np.maximum(2.0 - 2.0 * traces[group.mul[group.inv]], 0.0)
    return squares


def _traces(group: FiniteGroup) -> Floats:
    """tr ρ(g) / dim ρ for each element."""
    written = group.concrete
    if written is not None:
        products = written @ written.transpose(0, 2, 1)
        if np.allclose(products, np.eye(written.shape[1]), atol=1e-9):
            traces: Floats = np.trace(written, axis1=1, axis2=2) / written.shape[1]
            return traces
    identity: Floats = np.eye(group.order)[group.identity.index]
    return identity


def places_of(space: Any, name: str) -> Places:
    """The places of F-FC's factors: pixels of a field, or elements of a finite group."""
    if isinstance(space, Field):
        return torus_places(space.size)
    group = space.rho.group if isinstance(space, Vectors) else None
    if isinstance(group, FiniteGroup) and space.rho == group.regular:
        return group_places(group)
    raise GroupError(
        f"{name}={space} has no places with a distance: sparse paths need a Field, or Vectors of "
        "the regular representation of a finite group. Write F-FC there."
    )


def half(places: int) -> int:
    """Half of the places, rounded up: the paper's number of anchors (App. F.4)."""
    return math.ceil(places / 2)


def placed_anchors(places: Places, count: int, design: str) -> Anchors:
    """`count` anchors: "grid", far apart among the places, or a low-discrepancy "halton"."""
    return _spread(places, count) if design == "grid" else _halton(places, count)


@lru_cache(maxsize=64)
def _spread(places: Places, count: int) -> Anchors:
    """The place next to the origin, then always the one farthest from all taken, the first one.

    On a 3×3 filter: its centre and corners; on a torus of 2ⁿ×2ⁿ pixels: a checkerboard.
    """
    taken = [int(places.squares(np.zeros((1, 2)), places.turns[:1])[0].argmin())]
    nearest = np.full(len(places), np.inf)
    while len(taken) < count:
        last = np.array(taken[-1:])
        fresh = places.squares(places.positions[last], places.turns[last])[0]
        nearest = np.minimum(nearest, fresh.round(9))
        taken.append(int(nearest.argmax()))
    chosen = np.array(taken)
    return Anchors(places.positions[chosen], places.turns[chosen])


def _halton(places: Places, count: int) -> Anchors:
    """Halton's sequence in bases 2, 3 and, over orientations, 5."""
    low = places.positions.min(0) - 0.5
    spans = places.positions.max(0) + 0.5 - low
    z = np.stack([_radical_inverse(count, base) for base in (2, 3)], axis=1) * spans + low
    flat = (places.positions == places.positions[0]).all()  # a group alone: no pixels to spread on
    turns = (_radical_inverse(count, 2 if flat else 5) * len(places.between)).astype(np.int64)
    return Anchors(np.zeros_like(z) if flat else z, turns)


def _radical_inverse(count: int, base: int) -> Floats:
    """0.d₁d₂d₃… in `base` for i = 1..count with digits …d₃d₂d₁."""
    values, scale = np.zeros(count), 1.0 / base
    rest = np.arange(1, count + 1)
    while rest.any():
        values += rest % base * scale
        rest, scale = rest // base, scale / base
    return values
