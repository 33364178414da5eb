"""Specs, layers and paths, with priors and weights."""

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

import torch
from hypothesis import note
from hypothesis import strategies as st

from relaxeq import groups as library
from relaxeq.fields import Field
from relaxeq.groups import FiniteGroup, PlanarGroup, Representation, Subgroup, point_group
from relaxeq.layers import RelaxedLayer, RelaxedLinear
from relaxeq.paths import FILTERS, PATHS, Path
from relaxeq.paths.spec import GRID
from relaxeq.testing.stated import LATTICE, Stated
from relaxeq.testing.strategies.drawing import Draw, composite, seeds
from relaxeq.testing.strategies.field_draws import fields, reps
from relaxeq.testing.strategies.group_draws import groups, representations
from relaxeq.testing.strict import make_strict_

L = TypeVar("L", RelaxedLayer, RelaxedLinear)


@composite
def specs(
    draw: Draw,
    *,
    group: PlanarGroup,
    max_paths: int = 3,
    without: Sequence[str] = ("STEER",),
) -> str:
    """Specs such as "F-FC+CONV+GCONV[p2]" of the paths that fields of the group can have.

    `without` names paths to leave out: STEER, whose bases escnn needs seconds to make.
    """
    turns = group.point_group.order > 1
    names = [name for name in PATHS if turns or name not in GRID.symmetric]
    names += [f"{name}[{part}]" for name in GRID.symmetric for part in _proper_parts(group)]
    kept = [name for name in names if name.partition("[")[0] not in without]
    drawn = st.lists(st.sampled_from(kept), min_size=1, max_size=max_paths, unique=True)
    return "+".join(draw(drawn))


@composite
def layers(
    draw: Draw,
    *,
    source: Field | None = None,
    spec: str | None = None,
    strides: Sequence[int] = (1, 2),
    max_channels: int = 2,
    dtype: torch.dtype = torch.float64,
    strict: bool = False,
) -> RelaxedLayer:
    """RelaxedLayers with weights from their priors, of any σ²; with `strict` no path is less
    symmetric than the fields' group, so that the layer must be equivariant.
    """  # noqa: D205
    start = draw(fields(max_channels=max_channels)) if source is None else source
    stride = draw(st.sampled_from([s for s in strides if not any(n % s for n in start.size)]))
    grid = (start.size[0] // stride, start.size[1] // stride)
    target = Field(start.group, draw(st.integers(1, max_channels)), grid, draw(reps()))
    filters = draw(st.sampled_from(FILTERS))
    # Anchors need more weights than these have.
    sparse = target.rep == "regular" and filters in ("full", "pointwise")
    without = ("STEER",) if sparse else ("STEER", "S-GCONV")
    layer = RelaxedLayer(
        start,
        target,
        draw(specs(group=start.group, without=without)) if spec is None else spec,
        kernel_size=draw(st.sampled_from([k for k in (1, 3, 5) if k // 2 <= min(start.size)])),
        stride=stride,
        filters=filters,
        bias=draw(st.booleans()),
    )
    return _weighted(draw, layer.to(dtype), start.group if strict else None)


@composite
def paths(
    draw: Draw, *, max_channels: int = 2, dtype: torch.dtype = torch.float64
) -> tuple[Path, Field, Field]:
    """Paths with weights from their priors, and the fields between which each maps."""
    layer = draw(layers(strides=(1,), max_channels=max_channels, dtype=dtype))
    path: Any = layer.paths[draw(st.sampled_from(list(layer.paths)))]
    return path, layer.source, layer.target


@composite
def linear_layers(
    draw: Draw,
    *,
    group: FiniteGroup | None = None,
    max_channels: int = 2,
    dtype: torch.dtype = torch.float64,
    strict: bool = False,
) -> RelaxedLinear:
    """RelaxedLinears between representations of a small group, with a path for some subgroups."""
    chosen = draw(groups(max_order=8)) if group is None else group
    rho_in, rho_out = (draw(representations(group=chosen)) for _ in range(2))
    places = [part for part in chosen.subgroups() if _has_maps(rho_in, rho_out, part)]
    parts = draw(st.lists(st.sampled_from(places), min_size=1, max_size=3, unique=True))
    pair = (draw(st.integers(1, max_channels)), draw(st.integers(1, max_channels)))
    layer = RelaxedLinear(rho_in, rho_out, pair, groups=parts).to(dtype)
    return _weighted(draw, layer, chosen if strict else None)


def _has_maps(rho_in: Representation, rho_out: Representation, part: Subgroup) -> bool:
    """Whether some linear map but 0 commutes with the subgroup."""
    inside = [library.restricted(rho, part) for rho in (rho_in, rho_out)]
    return len(library.equivariant_basis(*inside)) > 0


def _weighted(draw: Draw, layer: L, group: Stated | None) -> L:
    """Priors and weights from draws, all of them shown by a failing example."""
    for path in layer.paths.values():
        path.prior_variance = draw(st.sampled_from((1.0, 0.01, 25.0)))
    if group is not None:
        make_strict_(layer, group)
    seed = draw(seeds())
    note(f"{layer.spec!r}: weights by sample_prior_ with seed {seed}")
    return layer.sample_prior_(torch.Generator().manual_seed(seed))


@cache
def _proper_parts(group: PlanarGroup) -> tuple[str, ...]:
    """Names of the point groups K ≤ H with 1 < |K| < |H|."""
    whole = group.point_group
    known = [point_group(name) for name in LATTICE]
    return tuple(str(k) for k in known if 1 < k.order < whole.order and whole.is_subgroup(k))
