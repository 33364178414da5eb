"""Entries with figures of one's choice, without training."""

from collections.abc import Callable, Mapping

import pytest

from relaxeq.report import Report, Row
from relaxeq.tables import Entry, Results

Figures = Mapping[tuple[str, str, str], tuple[float, float]]
"""(row, column, objective) to accuracy in [0, 1] and NLL."""


def rows_of(spec: str, shares: tuple[float, ...]) -> tuple[Row, ...]:
    """Layers in which the first path has a share, and the others the rest in equal parts."""
    paths = spec.partition(",")[0].split("+")
    found = []
    for layer, share in enumerate(shares):
        rest = (1 - share) / max(1, len(paths) - 1)
        parts = [share if len(paths) > 1 else 1.0, *[rest] * (len(paths) - 1)]
        kind = paths[parts.index(max(parts))]
        found += [
            Row(layer, f"layers.{layer}", path, "Z2", 4.0, 1.0, part, 100, part / 100, part, kind)
            for path, part in zip(paths, parts, strict=True)
        ]
    return tuple(found)


def entry(
    key: tuple[str, str, str],
    accuracy: float | None = 0.9,
    nll: float = 0.5,
    evidence: float = -1.0,
    seed: int = 0,
    shares: tuple[float, ...] = (0.01, 0.02, 0.03, 0.9),
    spec: str | None = None,
) -> Entry:
    row, column, objective = key
    rows = rows_of(spec or row, shares)
    report = Report(objective, evidence, -0.1, 100, 3, nll, accuracy, rows, (), ())
    return Entry(row, column, objective, seed, 1234, 60.0, report)


@pytest.fixture
def make() -> Callable[..., Entry]:
    """make(key, accuracy=…, nll=…, evidence=…, seed=…, shares=…, spec=…) gives an entry."""
    return entry


@pytest.fixture
def table_of() -> Callable[..., Results]:
    """table_of({key: (accuracy, nll)}, **others) gives results."""

    def results(figures: Figures, **others: object) -> Results:
        return Results(
            tuple(
                entry(key, accuracy, nll, **others)  # type: ignore[arg-type]
                for key, (accuracy, nll) in figures.items()
            )
        )

    return results
