"""Outcomes with figures of one's choice, without training."""

from collections.abc import Callable

import pytest

from relaxeq.demo import DemoConfig, Results, Run
from relaxeq.report import Report, Row
from relaxeq.study import Outcome

Figures = dict[tuple[str, str], tuple[float, float]]
"""(task, spec) to accuracy in [0, 1] and evidence."""

GOOD: Figures = {
    ("digit", "F-FC"): (0.88, -1.5),
    ("digit", "CONV"): (0.94, -0.5),
    ("digit", "F-FC+CONV"): (0.93, -0.6),
    ("digit+quadrant", "F-FC"): (0.85, -1.0),
    ("digit+quadrant", "CONV"): (0.24, -2.0),
    ("digit+quadrant", "F-FC+CONV"): (0.90, -0.9),
}
SHARES = {"digit": (0.9, 0.8), "digit+quadrant": (0.9, 0.3)}
"""CONV's share per layer of F-FC+CONV."""


def row(layer: int, path: str, share: float) -> Row:
    return Row(
        layer=layer,
        name=f"layers.{layer}",
        path=path,
        symmetry="Z2" if path == "CONV" else "none",
        precision=10.0,
        squared_norm=1.0,
        effective_parameters=share,
        size=1000,
        normalised=share / 1000,
        share=share,
        layer_type="CONV",
    )


def rows_of(spec: str, shares: tuple[float, ...]) -> tuple[Row, ...]:
    if spec != "F-FC+CONV":
        return tuple(row(layer, spec, 1.0) for layer in range(len(shares)))
    return tuple(
        row(layer, path, share if path == "CONV" else 1 - share)
        for layer, share in enumerate(shares)
        for path in ("F-FC", "CONV")
    )


def outcome_of(
    run: Run, accuracy: float, evidence: float, shares: tuple[float, ...]
) -> Outcome[Run]:
    report = Report(
        objective=run.objective,
        evidence=evidence,
        log_likelihood=-0.1,
        count=1500,
        epochs=2,
        test_nll=1 - accuracy,
        test_accuracy=accuracy,
        rows=rows_of(run.spec, shares),
        others=(),
        warnings=(),
    )
    return Outcome(run, report, seconds=12.3)


Make = Callable[..., Results]


@pytest.fixture
def make() -> Make:
    """make(changes=..., shares=..., spread=..., **config) gives results around GOOD.

    Seeds 0, 1, 2 … lie symmetrically around the figure, `spread` apart.
    """

    def results(
        changes: Figures | None = None,
        shares: dict[str, tuple[float, ...]] | None = None,
        spread: float = 0.0,
        config: DemoConfig | None = None,
    ) -> Results:
        config = config or DemoConfig()
        figures, given = GOOD | (changes or {}), SHARES | (shares or {})
        middle = (len(config.seeds) - 1) / 2
        outcomes = [
            outcome_of(
                run,
                figures[run.task, run.spec][0] + spread * (run.seed - middle),
                figures[run.task, run.spec][1] + spread * (run.seed - middle),
                given[run.task],
            )
            for run in config.runs()
        ]
        return Results(config, tuple(outcomes))

    return results
