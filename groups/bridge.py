"""The one place that touches escnn: loaded at first use, quietly, and made safe beside sklearn."""

import warnings
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import logm

from relaxeq.errors import GroupError
from relaxeq.groups.abstract import Floats
from relaxeq.groups.tables import Table, cyclic, dihedral, orders_of

# escnn's factory, and how many elements there are of each order.
_POLYHEDRAL = {
    "octahedral": ("octa_group", {1: 1, 2: 9, 3: 8, 4: 6}),
    "full octahedral": ("full_octa_group", {1: 1, 2: 19, 3: 8, 4: 12, 6: 8}),
    "icosahedral": ("ico_group", {1: 1, 2: 15, 3: 20, 5: 24}),
    "full icosahedral": ("full_ico_group", {1: 1, 2: 31, 3: 20, 5: 24, 6: 20, 10: 24}),
}


class Family(NamedTuple):
    """A finite group that escnn knows: a name, and n for cyclic(n) and dihedral(n)."""

    name: str
    n: int


@cache
def load() -> ModuleType:
    """`escnn.group`. It takes seconds to import, so it waits until somebody asks for irreps."""
    with warnings.catch_warnings():
        # Notes that py3nj, pymanopt and autograd are missing: escnn does without them, slower.
        warnings.simplefilter("ignore")
        try:
            from escnn import group  # noqa: PLC0415  (an optional extra, and slow)
            from escnn.group import _numerical  # noqa: PLC0415
            from escnn.group.groups import ico, octa  # noqa: PLC0415
        except ImportError as error:
            raise GroupError(
                f"irreps: escnn cannot be imported ({error}). "
                "Install it, without py3nj's compiler: pip install --no-deps escnn==1.0.11"
            ) from error
    # escnn hands an np.matrix to scikit-learn's randomized_svd where it finds one, and versions
    # from 1.2 refuse that. Without it escnn takes scipy's exact SVD, as it does for everyone else.
    _numerical.randomized_svd = None
    for module in (octa, ico):
        # joblib would print a banner for every irrep that is not yet in escnn's disk cache.
        for function in vars(module).values():
            if hasattr(function, "_verbose"):
                function._verbose = 0
    return group  # type: ignore[no-any-return]


def families(mul: Table) -> Iterator[tuple[Family, Table]]:
    """The groups known to escnn that this can be isomorphic to, with their tables."""
    order = len(mul)
    yield Family("cyclic", order), cyclic(order)
    if order % 2 == 0:
        yield Family("dihedral", order // 2), dihedral(order // 2)
    counts = dict(zip(*np.unique(orders_of(mul), return_counts=True), strict=True))
    for name, (_, known) in _POLYHEDRAL.items():
        if counts == known:
            # Only now, since escnn takes seconds to build these for the first time.
            yield Family(name, order), polyhedral_table(name)


@cache
def irreps(family: Family) -> tuple[Floats, ...]:
    """Real irreps in escnn's order: an array (order, d, d) each, elements in escnn's order."""
    group = _finite(family)
    listed = [[psi(g) for g in group.elements] for psi in group.irreps()]
    # escnn writes one-dimensional irreps as integers.
    return tuple(np.array(matrices, dtype=np.float64) for matrices in listed)


@cache
def polyhedral_table(name: str) -> Table:
    """The Cayley table in escnn's order of elements, read off a faithful irrep."""
    order = sum(_POLYHEDRAL[name][1].values())
    faithful = next(
        m for m in irreps(Family(name, order)) if len(np.unique(m.round(6), axis=0)) == order
    )
    flat = faithful.reshape(order, -1)
    products = np.matmul(faithful[:, None], faithful[None]).reshape(order * order, -1)
    overlap: Table = np.argmax(products @ flat.T, axis=1).reshape(order, order)
    return overlap


def _finite(family: Family) -> Any:
    escnn = load()
    if family.name == "cyclic":
        return escnn.cyclic_group(family.n)
    if family.name == "dihedral":
        return escnn.dihedral_group(family.n)
    return getattr(escnn, _POLYHEDRAL[family.name][0])()


def labels(name: str, degree: int) -> tuple[tuple[int, ...], ...]:
    """escnn's labels of the irreps of this degree (angular frequency) of SO2, O2, SO3 or O3."""
    if name in ("SO2", "SO3"):
        return ((degree,),)
    if name == "O2" and degree > 0:
        return ((1, degree),)
    return ((0, degree), (1, degree))


def lie_irrep(name: str, label: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Images (s, d, d) of the discrete generators, derivatives (r, d, d) along the axes."""
    psi = _lie_irrep(name, label)
    group, flipped = psi.group, name in ("O2", "O3")
    # Short of half a turn at this degree, so that the logarithm is the principal one.
    angle = 1.0 / (1 + label[-1])
    slopes = []
    for axis in range(1 if name.endswith("2") else 3):
        turn = psi(_lie_element(group, name, angle, axis))
        slopes.append(np.real(logm(turn)) / angle)
    size = psi.size
    images = [psi(group.inversion if name == "O3" else group.reflection)] if flipped else []
    flat_images = np.array(images, dtype=np.float64)
    return flat_images.reshape(-1, size, size), np.reshape(slopes, (-1, size, size))


def _lie_irrep(name: str, label: tuple[int, ...]) -> Any:
    escnn = load()
    factory = {
        "SO2": escnn.so2_group,
        "O2": escnn.o2_group,
        "SO3": escnn.so3_group,
        "O3": escnn.o3_group,
    }[name]
    known = label in labels(name, label[-1]) if label else False
    if not known or label[-1] < 0:
        low = ", ".join(f"irrep{k}" for d in (0, 1, 2) for k in labels(name, d)).replace(",)", ")")
        raise GroupError(f"irrep: {name} has no irrep{label}. It has {low} and so on.")
    return factory().irrep(*label)


def _lie_element(group: Any, name: str, angle: float, axis: int) -> Any:
    if name == "SO2":
        return group.element(angle, "radians")
    if name == "O2":
        return group.element((0, angle), "radians")
    quaternion = np.zeros(4)
    quaternion[axis], quaternion[3] = np.sin(angle / 2), np.cos(angle / 2)
    return group.element(quaternion if name == "SO3" else (0, quaternion), "Q")
