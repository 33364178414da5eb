"""Fields and features."""

from collections.abc import Sequence

import torch
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from torch import Tensor

from relaxeq.fields import Field
from relaxeq.groups import PlanarGroup
from relaxeq.testing.strategies.drawing import Draw, composite, seeds
from relaxeq.testing.strategies.group_draws import Size, planar_groups

SIZES = ((1, 1), (2, 2), (3, 3), (4, 4), (2, 4), (5, 3), (6, 6))


@composite
def fields(
    draw: Draw,
    *,
    group: PlanarGroup | None = None,
    max_channels: int = 2,
    sizes: Sequence[Size] = SIZES,
    rep: str | None = None,
) -> Field:
    """Fields of a group on small grids, among them those of one pixel and those not square."""
    chosen = draw(planar_groups()) if group is None else group
    size = draw(st.sampled_from([size for size in sizes if chosen.exact_on(size)]))
    channels = draw(st.integers(1, max_channels))
    return Field(chosen, channels, size, draw(reps()) if rep is None else rep)


@composite
def features(
    draw: Draw,
    *,
    field: Field,
    max_batch: int = 3,
    dtype: torch.dtype = torch.float64,
    ties: bool = False,
) -> Tensor:
    """Features of a field: standard normal by a seed, or with `ties` whole numbers from −2 to 2."""
    batch, seed = draw(st.integers(1, max_batch)), draw(seeds())
    generator = torch.Generator().manual_seed(seed)
    if ties:
        return torch.randint(-2, 3, (batch, *field.shape), generator=generator).to(dtype)
    return field.random(batch, generator, dtype)


def reps() -> SearchStrategy[str]:
    """What the channels of a field are."""
    return st.sampled_from(("trivial", "regular"))
