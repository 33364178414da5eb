"""Layers: sums of paths, strict subsampling, lifting and pooling."""

from relaxeq.layers.linear import RelaxedLinear
from relaxeq.layers.orientations import Lift, OrientationPool
from relaxeq.layers.polyphase import polyphase
from relaxeq.layers.relaxed import RelaxedLayer

__all__ = ["Lift", "OrientationPool", "RelaxedLayer", "RelaxedLinear", "polyphase"]
