"""Whole numbers of Python and NumPy are counts; truth values and fractions are none."""

import numpy as np
import pytest

from relaxeq.counts import is_count


@pytest.mark.parametrize("value", [1, 7, np.int64(3), np.uint8(1)])
def test_counts(value: object) -> None:
    assert is_count(value)


@pytest.mark.parametrize("value", [0, -1, True, 1.0, 2.5, "1", None, np.float64(2), np.bool_(True)])
def test_what_is_none(value: object) -> None:
    assert not is_count(value)


def test_the_least_may_be_another() -> None:
    assert is_count(0, least=0)
    assert not is_count(2, least=3)
