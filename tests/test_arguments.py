"""Which arguments are counts, and which are precisions."""

import math
import re

import numpy as np
import pytest

from relaxeq.arguments import check_precision, is_count
from relaxeq.errors import SpecError


@pytest.mark.parametrize("value", [1, 7, np.int64(3), np.uint8(1)])
def test_counts(value: object) -> None:
    assert is_count(value)


@pytest.mark.parametrize("value", [0, -1, True, 1.0, 2.5, "1", None, np.float64(2), np.bool_(True)])
def test_what_is_none(value: object) -> None:
    assert not is_count(value)


def test_the_least_may_be_another() -> None:
    assert is_count(0, least=0)
    assert not is_count(2, least=3)


@pytest.mark.parametrize("value", [1e-300, 2.0, math.inf])
def test_precisions(value: float) -> None:
    check_precision("delta", value)


@pytest.mark.parametrize("value", [0.0, -1.0, -math.inf, math.nan])
def test_what_is_no_precision(value: float) -> None:
    message = re.escape(f"terms['a']={value} must be positive: it is a prior precision, math.inf ")
    with pytest.raises(SpecError, match=message):
        check_precision("terms['a']", value)
