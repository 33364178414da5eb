"""Layers: sums of paths, and strict subsampling."""

from relaxeq.layers.polyphase import polyphase
from relaxeq.layers.relaxed import RelaxedLayer

__all__ = ["RelaxedLayer", "polyphase"]
