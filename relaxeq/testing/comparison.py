"""Comparison: how far f(a·x) is from a·f(x), on grids of the same size or coarser."""

import itertools
import math
from fractions import Fraction

from torch import Tensor

from relaxeq.groups import PlanarElement
from relaxeq.testing.actions import Action, AnyElement

Scale = tuple[Fraction, Fraction]


def scale_between(source: Tensor, target: Tensor) -> Scale:
    """Rows and columns of the target grid per one of the source grid; 1 without grids."""
    if source.ndim != 4 or target.ndim != 4:
        return Fraction(1), Fraction(1)
    return (
        Fraction(target.shape[2], source.shape[2]),
        Fraction(target.shape[3], source.shape[3]),
    )


def moved(action: Action, element: AnyElement, x: Tensor, turn: int) -> Tensor:
    """Every second datum (the only one, if alone) is moved by the element; the others stay.

    Even turns move data 1, 3, …, odd ones 0, 2, …. A module in which one datum feels how another
    one moved is thereby found too.
    """
    y = x.clone()
    chosen = slice(_first(x, turn), None, 2)
    y[chosen] = action.act(element, x[chosen])
    return y


def turns(x: Tensor) -> range:
    """The turns after which every datum has been moved."""
    return range(min(len(x), 2))


def relative_error(
    action: Action, element: AnyElement, scale: Scale, found: Tensor, before: Tensor, turn: int
) -> float:
    """max |f(a·x) − a·f(x)| / max |f(x)|, the data that `moved` left alone included.

    found: f of the batch moved in this turn; before: f(x). On a grid coarser by the factor r a
    shift d lands on ⌊d/r⌋ or ⌈d/r⌉ per axis, whichever fits each datum best (polyphase subsampling,
    App. F.2). Infinite where f(a·x) is not finite, or where f(x) = 0 and f(a·x) is not.
    """
    first = _first(before, turn)
    chosen, left = slice(first, None, 2), slice(1 - first, None, 2)
    candidates = [
        _distances(found[chosen], action.act(landing, before[chosen]))
        for landing in landings(element, scale)
    ]
    distance = _least(candidates)
    if len(before) > 1:
        distance = max(distance, _largest(_distances(found[left], before[left])))
    size = _largest(before.abs())
    if distance == 0.0:
        return 0.0
    return distance / size if size > 0 and math.isfinite(distance) else math.inf


def landings(element: AnyElement, scale: Scale) -> tuple[AnyElement, ...]:
    """The elements as which `element` may arrive on the other grid."""
    if not isinstance(element, PlanarElement) or set(scale) == {Fraction(1)}:
        return (element,)
    rows, columns = (
        sorted({math.floor(d * s), math.ceil(d * s)})
        for d, s in zip(element.shift, scale, strict=True)
    )
    return tuple(
        element.group.element(shift, element.point) for shift in itertools.product(rows, columns)
    )


def _first(x: Tensor, turn: int) -> int:
    """The first datum to be moved."""
    return (turn + 1) % 2 if len(x) > 1 else 0


def _distances(found: Tensor, expected: Tensor) -> Tensor:
    """Largest difference per datum; NaN counts as infinite."""
    differences = (found - expected).abs().flatten(1).amax(1)
    return differences.nan_to_num(nan=math.inf, posinf=math.inf)


def _least(candidates: list[Tensor]) -> float:
    best = candidates[0]
    for other in candidates[1:]:
        best = best.minimum(other)
    return _largest(best)


def _largest(values: Tensor) -> float:
    return float(values.max())
