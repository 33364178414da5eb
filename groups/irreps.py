"""Real irreducible representations of a finite group, from its table alone."""

from functools import cache

import numpy as np

from relaxeq.groups import bridge, tables
from relaxeq.groups.abstract import Floats
from relaxeq.groups.canonical import canonical_rows
from relaxeq.groups.tables import Table


def images(mul: Table) -> tuple[Floats, ...]:
    """For each irrep the images (s, d, d) of `tables.generators_of(mul)`; the trivial one first.

    They are escnn's where escnn knows a group isomorphic to this one. Elsewhere the regular
    representation is split.
    """
    return _images(mul.tobytes(), len(mul))


@cache
def _images(data: bytes, order: int) -> tuple[Floats, ...]:
    mul = np.frombuffer(data, dtype=np.int64).reshape(order, order)
    generators = list(tables.generators_of(mul))
    for family, known in bridge.families(mul):
        match = next(tables.embeddings(mul, known), None)
        if match is not None:
            return tuple(psi[match[generators]] for psi in bridge.irreps(family))
    return split(mul)


def split(mul: Table, seed: int = 0) -> tuple[Floats, ...]:
    """Irreps as eigenspaces of a random symmetric operator that commutes with the group.

    X e_h = Σ_x f(x) e_{hx} with f(x) = f(x⁻¹) commutes with the left regular representation, and
    for almost every f each eigenspace of it is irreducible over the reals.
    """
    inv = tables.inverses_of(mul)
    f = np.random.default_rng(seed).normal(size=len(mul))
    operator = (f + f[inv])[mul[inv]].T
    values, vectors = np.linalg.eigh(operator)
    borders = np.flatnonzero(np.diff(values) > 1e-7 * np.ptp(values)) + 1
    found: dict[bytes, tuple[Floats, Floats]] = {}
    for space in np.split(vectors, borders, axis=1):
        rows = canonical_rows(space.T)
        character = np.einsum("dgh,dh->g", rows[:, mul], rows)
        found.setdefault((np.round(character, 6) + 0.0).tobytes(), (character, rows))
    characters = [c for c, _ in found.values()]
    if not _complete(characters):
        return split(mul, seed + 1)
    ordered = sorted(found.values(), key=lambda pair: (len(pair[1]), *(-pair[0].round(6))))
    generators = list(tables.generators_of(mul))
    return tuple(
        np.stack([rows[:, mul[g]] @ rows.T for g in generators])
        if generators
        else np.zeros((0, 1, 1))
        for _, rows in ordered
    )


def _complete(characters: list[Floats]) -> bool:
    """Σ d² / dim End = |G|, with dim End = ⟨χ, χ⟩ one of 1, 2, 4 as for real irreps."""
    norms = [float(np.mean(c**2)) for c in characters]
    irreducible = all(min(abs(n - e) for e in (1, 2, 4)) < 1e-6 for n in norms)
    total = sum(c.max() ** 2 / n for c, n in zip(characters, norms, strict=True))
    return irreducible and bool(abs(total - len(characters[0])) < 1e-6)
