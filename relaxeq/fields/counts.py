"""Whole numbers, of Python or NumPy."""

from numbers import Integral


def is_count(value: object) -> bool:
    """Whether this is a whole number from 1; True is none."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) > 0
