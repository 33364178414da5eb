"""What a picture of a sparse filter shows: anchors, the function between the pixels, weights."""

from dataclasses import dataclass, replace
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from relaxeq.errors import SpecError
from relaxeq.paths import Basis, SparseConv, SparseFC, dense_weights
from relaxeq.paths.sparse.anchors import Places

Grid = NDArray[np.float64]

FINE, MOST = 16, 256
"""Points per pixel at which s is taken between the pixels, and at most per side."""

PARTS = {"u": "filter", "u1": "s₁ writes the target", "u2": "s₂ reads the source"}


@final
@dataclass(frozen=True, eq=False)
class Sheet:
    """One plane of weights: its title, anchors z (M, 2) of values u (M,), s in between, weights."""

    title: str
    z: Grid
    u: Grid
    between: Grid
    weights: Grid
    low: tuple[float, float]

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top edge, in pixels; rows run down."""
        (top, left), (height, width) = self.low, self.weights.shape
        return (left, left + width, top + height, top)


def check_sparse(path: object, pair: tuple[int, int]) -> None:
    """Raise SpecError unless the path has weights on a plane from channel c to c'."""
    if not isinstance(path, SparseFC | SparseConv):
        raise SpecError(
            f"path={type(path).__name__}(...) has no sparse weights on a plane: give the S-FC, "
            "S-CONV or S-GCONV path of a RelaxedLayer, such as layer.paths['S-CONV']."
        )
    places = basis_of(path, next(iter(path.bases))).places
    if isinstance(path, SparseFC) and places.turns.any():
        raise SpecError(
            f"path={path.label} between {path.in_shape} and {path.out_shape} has weights on the "
            "elements of a group, which have no plane: print relaxeq.paths.dense_weights(path)."
        )
    whole = isinstance(pair, tuple) and [type(index) for index in pair] == [int, int]
    if not whole or not all(
        0 <= index < count for index, count in zip(pair, path.pairs, strict=True)
    ):
        raise SpecError(
            f"pair={pair!r} is not (c', c) of {path.label}, which has {path.pairs[0]} channels out "
            f"and {path.pairs[1]} in, counted from 0."
        )


def sheets_of(path: SparseFC | SparseConv, name: str, pair: tuple[int, int]) -> tuple[Sheet, ...]:
    """The planes of a factor from channel c to c', one per orientation; pair = (c', c)."""
    turns = basis_of(path, name).places.turns
    return tuple(_sheet(path, name, pair, k) for k in np.unique(turns).tolist())


@torch.no_grad()
def _sheet(path: SparseFC | SparseConv, name: str, pair: tuple[int, int], turn: int) -> Sheet:
    basis, z = basis_of(path, name), path.locations(name).double().cpu()
    u = path.anchors(name)[pair].double().cpu()
    weights = dense_weights(path)[name][pair].double().cpu().numpy()
    places, here = basis.places, basis.places.turns == turn
    plane = places.positions[here]
    low, high = (plane.min(0) - 0.5).tolist(), (plane.max(0) + 0.5).tolist()
    points = np.stack(np.meshgrid(*map(_steps, low, high), indexing="ij"), -1)
    between = u @ basis.at(_on(places, points, turn))(omega_of(path, pair), z)
    mine = basis.anchors.turns == turn
    return Sheet(
        _title(path, name, turn),
        _inside(z.numpy()[mine], places.periods),
        u.numpy()[mine],
        between.numpy().reshape(points.shape[:2]),
        weights[here].reshape([round(b - a) for a, b in zip(low, high, strict=True)]),
        (low[0], low[1]),
    )


def _on(places: Places, points: Grid, turn: int) -> Places:
    """Points (H, W, 2) in the place of the pixels, with one orientation."""
    turns = np.full(points.shape[0] * points.shape[1], turn)
    return replace(places, positions=points.reshape(-1, 2), turns=turns)


def basis_of(path: SparseFC | SparseConv, name: str) -> Basis:
    """The functions of a factor."""
    found = path.bases[name]
    assert isinstance(found, Basis)
    return found


def omega_of(path: SparseFC | SparseConv, pair: tuple[int, int]) -> torch.Tensor:
    """ω as it acts from channel c to c', a float64 number."""
    omega = path.omega.detach().double().cpu()
    if path.options.per_pair:
        omega = omega[pair]
    return torch.zeros_like(omega) if path.stationary else omega


def _steps(low: float, high: float) -> Grid:
    """Points from edge to edge, each in the middle of its share."""
    count = min(FINE * round(high - low), MOST)
    return low + (np.arange(count) + 0.5) * (high - low) / count


def _inside(z: Grid, periods: tuple[int, int] | None) -> Grid:
    """Anchors that left a torus, where they came in again."""
    return z if periods is None else (z + 0.5) % np.array(periods) - 0.5


def _title(path: SparseFC | SparseConv, name: str, turn: int) -> str:
    """What a row shows: a factor, or the filter of one orientation."""
    if isinstance(path, SparseConv) and basis_of(path, name).places.turns.any():
        return f"orientation {path.part.parent.elements[turn]}"
    return PARTS[name]
