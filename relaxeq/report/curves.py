"""Curves over epochs as figures of a drawing: points, ticks, and a description in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from relaxeq.report.log import RunLog

WIDTH, HEIGHT = 420, 230
LEFT, RIGHT, TOP, BOTTOM = 50, 12, 12, 30
TICKS = 4
MANY = 25
"""Up to so many points have dots."""

Points = Sequence[tuple[float, float]]


@final
@dataclass(frozen=True)
class Tick:
    """A place on an axis, in the drawing's units, and its label."""

    at: float
    label: str


@final
@dataclass(frozen=True)
class Curve:
    """One line: its name, style ("one", "two", "end"), and points in the drawing's units."""

    name: str
    style: str
    points: tuple[tuple[float, float], ...]

    @property
    def dotted(self) -> bool:
        """Whether its points are few enough to be seen one by one."""
        return len(self.points) <= MANY

    @property
    def line(self) -> str:
        """The points as SVG writes them."""
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in self.points)


@final
@dataclass(frozen=True)
class Chart:
    """A panel of curves over epochs."""

    title: str
    unit: str
    curves: tuple[Curve, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    description: str


def charts_of(log: RunLog, evidence: float) -> tuple[Chart, ...]:
    """Evidence, accuracy or error, and negative log likelihood over epochs, if there are any.

    `evidence` is that of the finished network, with which its curve ends.
    """
    epochs = float(len(log.history))
    known = log.series("evidence")
    rising: dict[str, Points] = {
        "at updates of the priors": known,
        "in the end": ((epochs, evidence),),
    }
    accuracy = [(epoch, 100 * value) for epoch, value in log.series("test_accuracy")]
    losses: dict[str, Points] = {
        "training": log.series("train_nll"),
        "test": log.series("test_nll"),
    }
    made = [
        _chart("Log evidence", "nats per datum", rising if known else {}, epochs),
        _chart("Test accuracy", "%", {"test": accuracy}, epochs),
        _chart("Test error (RMSE)", "root mean square", {"test": log.series("test_rmse")}, epochs),
        _chart("Negative log likelihood", "nats per datum", losses, epochs),
    ]
    return tuple(chart for chart in made if chart is not None)


def _chart(title: str, unit: str, series: dict[str, Points], epochs: float) -> Chart | None:
    kept = {name: finite for name, points in series.items() if (finite := _finite(points))}
    if not kept:
        return None
    values = [y for points in kept.values() for _, y in points]
    low, high, ticks = round_ends(min(values), max(values))
    across = _Scale(0.0, max(epochs, 1.0), LEFT, WIDTH - RIGHT)
    down = _Scale(low, high, HEIGHT - BOTTOM, TOP)
    curves = tuple(
        Curve(name, _style(name), tuple((across(x), down(y)) for x, y in points))
        for name, points in kept.items()
    )
    marks = [x for x in round_ends(0.0, epochs, least=1.0)[2] if x <= epochs]
    return Chart(
        title,
        unit,
        curves,
        tuple(Tick(across(x), f"{x:g}") for x in marks),
        tuple(Tick(down(y), f"{y:g}".replace("-", "−")) for y in ticks),
        _described(title, unit, kept),
    )


@final
@dataclass(frozen=True)
class _Scale:
    """The line that takes low to start and high to end."""

    low: float
    high: float
    start: int
    end: int

    def __call__(self, value: float) -> float:
        part = (value - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)


def _style(name: str) -> str:
    return {"training": "two", "in the end": "end"}.get(name, "one")


def _finite(points: Points) -> Points:
    return [(x, y) for x, y in points if math.isfinite(y)]


def round_ends(
    low: float, high: float, least: float = 0.0
) -> tuple[float, float, tuple[float, ...]]:
    """Ends that hold low and high, and ticks from end to end at multiples of 1, 2 or 5 times 10ⁿ.

    Ticks are `least` apart or more. Ends that floating numbers hardly tell apart count as one.
    """
    large = max(abs(low), abs(high))
    span = high - low if high - low > 1e-9 * large else large or 1.0
    size = 10.0 ** math.floor(math.log10(span / TICKS))
    step = max(next(size * k for k in (1, 2, 5, 10) if size * k * TICKS >= span), least)
    first, last = math.floor(low / step), math.ceil(high / step)
    digits = 12 - math.floor(math.log10(step))
    ticks = tuple(round(k * step, digits) for k in range(first, max(last, first + 1) + 1))
    return ticks[0], ticks[-1], ticks


def _described(title: str, unit: str, series: dict[str, Points]) -> str:
    """The curves in words, for those who do not see them."""
    parts = []
    for name, points in series.items():
        (first, start), (last, end) = points[0], points[-1]
        where = f"{end:.4g} at epoch {last:g}"
        parts.append(
            f"{name}: {where}"
            if len(points) == 1
            else f"{name}: from {start:.4g} at epoch {first:g} to {where}"
        )
    return f"{title} in {unit}. {'; '.join(parts)}."
