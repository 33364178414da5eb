"""Whole numbers, of Python or NumPy."""

from numbers import Integral


def is_count(value: object, least: int = 1) -> bool:
    """Whether this is a whole number, at least `least`; True is none."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least
