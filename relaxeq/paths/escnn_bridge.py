"""Where torch modules meet escnn: loaded at first use, and quietly."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from relaxeq.errors import GroupError
from relaxeq.fields import Field
from relaxeq.groups import PlanarGroup, PointGroup, Subgroup, point_group
from relaxeq.groups import bridge as group_bridge
from relaxeq.groups.abstract import Floats

_log = logging.getLogger(__name__)
_SLOW = 2.0  # seconds after which a user wants to know where they went


class Escnn(NamedTuple):
    """The parts of escnn that are used."""

    gspaces: Any
    nn: Any


@cache
def load() -> Escnn:
    """`escnn.gspaces` and `escnn.nn`; a GroupError says how to install them."""
    group_bridge.load()  # quiets escnn, and keeps it off scikit-learn
    from escnn import gspaces, nn  # noqa: PLC0415  (an optional extra, and slow)

    return Escnn(gspaces, nn)


def gspace(part: Subgroup) -> Any:
    """escnn's space of R² with K acting; its elements come in the order of `part.embedding`.

    A flip r^a s of D_n, as the first flip of K, is a reflection about an axis turned by aπ/n.
    """
    parent, escnn = part.parent, load()
    assert isinstance(parent, PointGroup)
    flips = np.linalg.det(parent.matrices[list(part.embedding)]) < 0
    if not flips.any():
        return (
            escnn.gspaces.rot2dOnR2(part.order) if part.order > 1 else escnn.gspaces.trivialOnR2()
        )
    angle = _axis(parent.matrices[part.embedding[int(np.argmax(flips))]])
    return escnn.gspaces.flipRot2dOnR2(part.order // 2, axis=angle)


@lru_cache(maxsize=64)
def steerable_basis(
    part: Subgroup, regular_in: bool, regular_out: bool, kernel_size: int
) -> Floats:
    """escnn's sampled basis of k×k filters that commute with K, shape (M, out, in, k²).

    out and in are |K| for regular fields and 1 for trivial ones. Rings, frequencies and the norm of
    each filter are those that `R2Conv` takes by default.
    """
    with torch.device("cpu"), _single_precision(), _reported(part):
        return _basis(part, regular_in, regular_out, kernel_size)


def _basis(part: Subgroup, regular_in: bool, regular_out: bool, kernel_size: int) -> Floats:
    space, nn = gspace(part), load().nn
    into = nn.FieldType(space, [space.regular_repr if regular_in else space.trivial_repr])
    out = nn.FieldType(space, [space.regular_repr if regular_out else space.trivial_repr])
    conv = nn.R2Conv(into, out, kernel_size, bias=False, initialize=False)
    basis = torch.stack([conv.basisexpansion(row) for row in torch.eye(len(conv.weights))])
    found: Floats = basis.double().numpy()
    return found


@contextmanager
def _single_precision() -> Iterator[None]:
    """With another default dtype escnn compares float32 with it and fails."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def _reported(part: Subgroup) -> Iterator[None]:
    start = time.perf_counter()
    yield
    if (seconds := time.perf_counter() - start) > _SLOW:
        _log.warning("escnn's basis for %s took %.1f s; parts are cached now", part, seconds)


@lru_cache(maxsize=1024)
def field_type(field: Field) -> Any:
    """The escnn field type of a Field, whose order of channels is the same."""
    group = field.group.point_group
    space = gspace(group.as_subgroup(group))
    rho = space.regular_repr if field.rep == "regular" else space.trivial_repr
    return load().nn.FieldType(space, [rho] * field.channels)


def field_of(kind: Any, size: tuple[int, int]) -> Field:
    """The Field of an escnn field type: copies of its regular or its trivial representation."""
    group = _point_group(kind.gspace)
    for name in ("regular", "trivial"):
        rho = getattr(kind.gspace, f"{name}_repr")
        if all(part == rho for part in kind.representations):
            return Field(PlanarGroup(group), len(kind.representations), size, rep=name)
    raise GroupError(
        f"{kind} mixes representations: a relaxeq.Field has copies of the regular or the trivial "
        "one. Write FieldType(gspace, [gspace.regular_repr] * channels)."
    )


def _point_group(space: Any) -> PointGroup:
    order = space.fibergroup.order() if not space.fibergroup.continuous else 0
    names = [f"C{order}"] * (order > 0) + [f"D{order // 2}"] * (order % 2 == 0 < order)
    for known in map(point_group, names):
        if gspace(known.as_subgroup(known)) == space:
            return known
    raise GroupError(
        f"{space} is not the plane with a finite point group: write escnn.gspaces.rot2dOnR2(n), or "
        "flipRot2dOnR2(n) with its default axis."
    )


def _axis(reflection: NDArray[Any]) -> float:
    """The angle in [0, π) of the line that a reflection of (row, column) keeps, from the x axis."""
    # On (x, y) = (column, −row) it is [[cos 2β, sin 2β], [sin 2β, −cos 2β]] for the angle β.
    cos, sin = reflection[1, 1], -reflection[0, 1]
    return float(np.arctan2(sin, cos) / 2 % np.pi)
