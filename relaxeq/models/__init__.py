"""Models: the networks of the paper."""

from relaxeq.models.paper import PaperNet

__all__ = ["PaperNet"]
