"""Checks of arguments that every column asks for: whole numbers and precisions."""

from numbers import Integral

from relaxeq.errors import SpecError


def is_count(value: object, least: int = 1) -> bool:
    """Whether this is a whole number, of Python or NumPy, at least `least`; True is none."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def check_precision(name: str, value: float) -> None:
    """Raise SpecError unless the value is a precision α > 0; `name` is what the error calls it."""
    if not value > 0:
        raise SpecError(
            f"{name}={value} must be positive: it is a prior precision, math.inf for a path that "
            "is off."
        )
