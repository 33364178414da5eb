"""Fields: feature tensors with a group that acts on them."""

from relaxeq.fields.field import Field

__all__ = ["Field"]
