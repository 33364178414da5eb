"""Axes: ticks hold the data, are round, and are few."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaxeq.report.curves import round_ends

values = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda x: round(x, 6))


@given(values, values)
def test_ticks_hold_the_data_and_are_round(a: float, b: float) -> None:
    low, high = sorted((a, b))
    first, last, ticks = round_ends(low, high)
    slack = 1e-9 * max(abs(low), abs(high), 1e-9)
    assert first <= low + slack
    assert last >= high - slack
    assert (first, last) == (ticks[0], ticks[-1])
    assert 2 <= len(ticks) <= 6
    step = (last - first) / (len(ticks) - 1)
    digits = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert min(abs(digits - k) for k in (1, 2, 5)) < 1e-4


@pytest.mark.parametrize(
    ("low", "high", "least", "expected"),
    [
        (0.0, 40.0, 1.0, (0, 10, 20, 30, 40)),
        (0.0, 3.0, 1.0, (0, 1, 2, 3)),
        (0.0, 1.0, 1.0, (0, 1)),
        (-8.3, -3.6, 0.0, (-10, -8, -6, -4, -2)),
        (0.5, 0.5, 0.0, (0.4, 0.6)),
        (0.0, 0.0, 0.0, (0, 0.5)),
        (-0.5, -0.5 + 1e-13, 0.0, (-0.6, -0.4)),
        (1e-14, 5e-14, 0.0, (1e-14, 2e-14, 3e-14, 4e-14, 5e-14)),
    ],
)
def test_known_ticks(low: float, high: float, least: float, expected: tuple[float, ...]) -> None:
    assert round_ends(low, high, least)[2] == pytest.approx(expected, abs=1e-18)
