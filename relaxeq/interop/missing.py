"""What to say when an optional library is not installed."""

from relaxeq.errors import RelaxeqError


class MissingExtraError(RelaxeqError, ImportError):
    """A bridge was imported whose library is not installed, or has another version."""
