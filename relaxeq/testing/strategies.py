"""Hypothesis strategies: random groups, fields, features, layers and networks, small when shrunk.

Strategies are plural nouns with keyword-only options; everything that can be left out is drawn.
Weights and features are standard normal from a drawn seed, which a failing example prints: equal
maxima, where the phase of a polyphase choice is a matter of order and not of symmetry, then have
probability 0. `features(ties=True)` draws small whole numbers instead, among which ties are common.
"""

import random
from collections.abc import Callable, Sequence
from functools import cache, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, final

import torch
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from torch import Tensor, nn

from relaxeq import groups as library
from relaxeq.fields import Field
from relaxeq.groups import (
    Element,
    FiniteGroup,
    PlanarElement,
    PlanarGroup,
    Representation,
    Subgroup,
    point_group,
)
from relaxeq.layers import RelaxedLayer, RelaxedLinear
from relaxeq.paths import FILTERS, PATHS, Path
from relaxeq.paths.spec import GRID
from relaxeq.testing.stated import LATTICE, Stated
from relaxeq.testing.strict import make_strict_

SIZES = ((1, 1), (2, 2), (3, 3), (4, 4), (2, 4), (5, 3), (6, 6))
Size = tuple[int, int]
Draw = Callable[..., Any]  # st.DrawFn, which cannot be checked while tests run


P = ParamSpec("P")
R = TypeVar("R")


def composite(function: Callable[Concatenate[Draw, P], R]) -> Callable[P, SearchStrategy[R]]:
    """`st.composite`, leaving Python's global random state as it was.

    Checks of types and shapes that sample the items of containers may be active in what is drawn,
    and Hypothesis refuses strategies that draw from there.
    """

    @st.composite
    @wraps(function)
    def drawn(draw: Any, /, *args: P.args, **options: P.kwargs) -> R:
        state = random.getstate()
        try:
            return function(draw, *args, **options)
        finally:
            random.setstate(state)

    return drawn


def planar_groups(*, points: Sequence[str] = LATTICE) -> SearchStrategy[PlanarGroup]:
    """Z2 ⋊ H for the named point groups H, those that keep the grid unless told otherwise."""
    return st.sampled_from([_planar(name) for name in points])


def groups(*, max_order: int = 24) -> SearchStrategy[FiniteGroup]:
    """Finite groups: cyclic, dihedral, symmetric, polyhedral, products and quaternions."""
    return st.sampled_from([group for group in _every_group() if group.order <= max_order])


@composite
def elements(
    draw: Draw, *, group: PlanarGroup | FiniteGroup, size: Size = (4, 4)
) -> PlanarElement | Element:
    """Elements of a group; of a planar one all that differ on an H×W torus, `size` = (H, W)."""
    if isinstance(group, FiniteGroup):
        element: Element = draw(st.sampled_from(group.elements))
        return element
    shift = tuple(draw(st.integers(0, n - 1)) for n in size)
    return group.element((shift[0], shift[1]), draw(st.sampled_from(group.point_group.elements)))


@composite
def representations(draw: Draw, *, group: FiniteGroup, max_dim: int = 8) -> Representation:
    """Direct sums of up to three of trivial, regular and irreducible representations."""
    known = (group.trivial, group.regular, *group.irreps)
    small = [rho for rho in known if rho.dim <= max_dim]
    total: Representation = draw(st.sampled_from(small))
    for _ in range(draw(st.integers(0, 2))):
        term = draw(st.sampled_from(small))
        total = total + term if total.dim + term.dim <= max_dim else total
    return total


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
    return Field(chosen, channels, size, draw(_reps()) if rep is None else rep)


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
    batch, seed = draw(st.integers(1, max_batch)), draw(_seeds())
    generator = torch.Generator().manual_seed(seed)
    if ties:
        return torch.randint(-2, 3, (batch, *field.shape), generator=generator).to(dtype)
    return field.random(batch, generator, dtype)


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
    target = Field(start.group, draw(st.integers(1, max_channels)), grid, draw(_reps()))
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


L = TypeVar("L", RelaxedLayer, RelaxedLinear)


def _weighted(draw: Draw, layer: L, group: Stated | None) -> L:
    """Priors and weights from draws, all of them shown by a failing example."""
    for path in layer.paths.values():
        path.prior_variance = draw(st.sampled_from((1.0, 0.01, 25.0)))
    if group is not None:
        make_strict_(layer, group)
    seed = draw(_seeds())
    note(f"{layer.spec!r}: weights by sample_prior_ with seed {seed}")
    return layer.sample_prior_(torch.Generator().manual_seed(seed))


def _reps() -> SearchStrategy[str]:
    return st.sampled_from(("trivial", "regular"))


def _seeds() -> SearchStrategy[int]:
    return st.integers(0, 2**16 - 1)


@cache
def _planar(name: str) -> PlanarGroup:
    return library.planar(name)


@cache
def _proper_parts(group: PlanarGroup) -> tuple[str, ...]:
    """Names of the point groups K ≤ H with 1 < |K| < |H|."""
    whole = group.point_group
    known = [point_group(name) for name in LATTICE]
    return tuple(str(k) for k in known if 1 < k.order < whole.order and whole.is_subgroup(k))


@cache
def _every_group() -> tuple[FiniteGroup, ...]:
    """By order, so that examples shrink to the smallest group."""
    two, s3 = library.cyclic(2), library.symmetric(3)
    found = [library.cyclic(n) for n in range(1, 9)] + [library.dihedral(n) for n in range(1, 7)]
    found += [library.direct_product(two, two), library.direct_product(two, s3), _quaternions()]
    found += [s3, library.symmetric(4), library.octahedral(), library.icosahedral()]
    return tuple(sorted(found, key=lambda group: group.order))


def _quaternions() -> FiniteGroup:
    i = [[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0]]
    j = [[0, 0, -1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, -1, 0, 0]]
    return library.from_matrices([i, j], name="Q8")
