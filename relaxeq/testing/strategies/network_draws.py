"""Networks: stacks of relaxed layers."""

from collections.abc import Sequence
from typing import final

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from relaxeq.groups import PlanarGroup
from relaxeq.layers import RelaxedLayer
from relaxeq.testing.strategies.drawing import Draw, composite
from relaxeq.testing.strategies.field_draws import fields
from relaxeq.testing.strategies.layer_draws import layers


@final
class Stack(nn.Module):
    """Relaxed layers with ReLU between; with a head, the mean over the grid, and no ReLU last."""

    def __init__(self, layers: Sequence[RelaxedLayer], invariant: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.source = layers[0].source
        self.last = layers[-1].target
        self.target = None if invariant else self.last

    def forward(self, x: Tensor) -> Tensor:
        for place, layer in enumerate(self.layers):
            x = layer(x.relu() if place else x)
        if self.target is not None:
            return x
        sheets: Tensor = x.unflatten(1, (self.last.channels, -1))
        return sheets.mean((2, 3, 4))


@composite
def networks(
    draw: Draw,
    *,
    group: PlanarGroup | None = None,
    max_layers: int = 3,
    max_channels: int = 2,
    dtype: torch.dtype = torch.float64,
    strict: bool = False,
) -> Stack:
    """Stacks of layers on grids up to 8×8; `target` is None where they end invariant."""
    sizes = ((2, 2), (4, 4), (3, 3), (2, 4), (8, 8))
    field = draw(fields(group=group, max_channels=max_channels, sizes=sizes))
    found: list[RelaxedLayer] = []
    for _ in range(draw(st.integers(1, max_layers))):
        drawn = layers(source=field, max_channels=max_channels, dtype=dtype, strict=strict)
        found.append(draw(drawn))
        field = found[-1].target
    return Stack(found, draw(st.booleans()))
