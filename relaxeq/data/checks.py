"""Checks of arguments that loaders and transforms share."""

from relaxeq.arguments import is_count
from relaxeq.errors import DataError


def check_whole(name: str, value: object, least: int) -> None:
    """Raise DataError unless the value is a whole number of at least `least`."""
    if not is_count(value, least):
        raise DataError(f"{name} must be a whole number of at least {least}, not {value!r}")


def check_size(size: object) -> None:
    """Raise DataError unless the size is (height, width), which is hashable as values must be."""
    if not isinstance(size, tuple) or len(size) != 2:
        raise DataError(f"size must be (height, width), as in (16, 16), not {size!r}")
    for side in size:
        check_whole("each side of size", side, 1)
