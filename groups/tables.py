"""Arithmetic on Cayley tables: mul[i, j] is the index of element i times element j."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxeq.errors import GroupError

Table = NDArray[np.int64]
Matrices = NDArray[Any]
Indices = tuple[int, ...]
SUBGROUPS_BOUND = 200


def frozen(array: Table) -> Table:
    """A read-only copy."""
    array = np.array(array, dtype=np.int64)
    array.setflags(write=False)
    return array


def identity_of(mul: Table) -> int:
    """Index of the two-sided identity; the table must be that of a group."""
    everyone = np.arange(len(mul))
    return int(np.flatnonzero((mul == everyone).all(axis=1))[0])


def inverses_of(mul: Table) -> Table:
    """inv[i] with mul[i, inv[i]] = identity."""
    inverses: Table = np.argmax(mul == identity_of(mul), axis=1).astype(np.int64)
    return inverses


def closure(mul: Table, seeds: Iterable[int]) -> Indices:
    """Sorted indices of the subgroup that the seeds generate."""
    seeds = [int(s) for s in seeds]
    found = {identity_of(mul)}
    frontier = list(found)
    while frontier:
        reached = {int(mul[i, s]) for i in frontier for s in seeds} - found
        found |= reached
        frontier = list(reached)
    return tuple(sorted(found))


def generators_of(mul: Table) -> Indices:
    """A short list of generators: each is the lowest index that the ones before do not reach."""
    chosen: list[int] = []
    reached = set(closure(mul, ()))
    while len(reached) < len(mul):
        chosen.append(min(set(range(len(mul))) - reached))
        reached = set(closure(mul, chosen))
    return tuple(chosen)


def words(mul: Table, generators: Sequence[int]) -> tuple[Indices, ...]:
    """A shortest word for every element, as places in the list of generators."""
    found: dict[int, Indices] = {identity_of(mul): ()}
    frontier = list(found)
    while frontier:
        i = frontier.pop(0)
        for place, generator in enumerate(generators):
            product = int(mul[i, generator])
            if product not in found:
                found[product] = (*found[i], place)
                frontier.append(product)
    return tuple(found[i] for i in range(len(mul)))


def subgroups_of(mul: Table) -> list[Indices]:
    """All subgroups by order, then by indices: joins of cyclic ones until none is new."""
    if len(mul) > SUBGROUPS_BOUND:
        raise GroupError(
            f"subgroups: {len(mul)} elements are too many to list all subgroups (bound "
            f"{SUBGROUPS_BOUND}). Name the ones you need: group.subgroup([generators])."
        )
    cyclic = {closure(mul, (i,)) for i in range(len(mul))}
    found = set(cyclic)
    frontier = set(cyclic)
    while frontier:
        joins = {closure(mul, big + small) for big in frontier for small in cyclic}
        frontier = joins - found
        found |= frontier
    return sorted(found, key=lambda s: (len(s), s))


def conjugates_of(mul: Table, subgroup: Sequence[int]) -> set[Indices]:
    """All g K g⁻¹ of a subgroup K."""
    inv = inverses_of(mul)
    members = np.asarray(subgroup)
    return {tuple(sorted(mul[mul[g, members], inv[g]].tolist())) for g in range(len(mul))}


def right_transversal(mul: Table, subgroup: Sequence[int]) -> Indices:
    """The lowest index of every right coset K t, ascending: H is the union of these cosets."""
    cosets = {tuple(sorted(mul[list(subgroup), t].tolist())) for t in range(len(mul))}
    return tuple(sorted(coset[0] for coset in cosets))


def restricted(mul: Table, members: Sequence[int]) -> Table:
    """The table of a subgroup, its elements numbered by their place in members."""
    place = np.full(len(mul), -1, dtype=np.int64)
    place[list(members)] = np.arange(len(members))
    table: Table = place[mul[np.ix_(members, members)]]
    return table


def orders_of(mul: Table) -> Table:
    """The order of each element."""
    identity = identity_of(mul)
    orders = np.ones(len(mul), dtype=np.int64)
    power = np.arange(len(mul))
    while (power != identity).any():
        orders[power != identity] += 1
        power = np.where(power == identity, identity, mul[power, np.arange(len(mul))])
    return orders


def embeddings(source: Table, target: Table) -> Iterator[Table]:
    """Every injective f with target[f[i], f[j]] = f[source[i, j]], lowest images first."""
    orders, options = orders_of(source), orders_of(target)
    if len(source) == len(target) and sorted(orders.tolist()) != sorted(options.tolist()):
        return
    generators = generators_of(source)
    candidates = [np.flatnonzero(options == orders[g]).tolist() for g in generators]
    yield from _complete(source, target, generators, candidates, ())


def _complete(
    source: Table,
    target: Table,
    generators: Indices,
    candidates: list[list[int]],
    images: Indices,
) -> Iterator[Table]:
    """Depth first over images of the generators; a choice that breaks the law is dropped."""
    partial = _extend(source, target, generators[: len(images)], images)
    if partial is None:
        return
    if len(images) == len(generators):
        yield partial
        return
    for image in candidates[len(images)]:
        yield from _complete(source, target, generators, candidates, (*images, image))


def _extend(source: Table, target: Table, generators: Indices, images: Indices) -> Table | None:
    """The map that the images of generators force on what they generate (−1 elsewhere), or None."""
    forced = np.full(len(source), -1, dtype=np.int64)
    forced[identity_of(source)] = identity_of(target)
    frontier = [identity_of(source)]
    while frontier:
        i = frontier.pop()
        for g, image in zip(generators, images, strict=True):
            product, value = int(source[i, g]), int(target[forced[i], image])
            if forced[product] == -1:
                forced[product] = value
                frontier.append(product)
            elif forced[product] != value:
                return None
    reached = forced[forced >= 0]
    return forced if len(np.unique(reached)) == len(reached) else None


def copies_of(small: Table, big: Table) -> list[Indices]:
    """The subgroups of big, as sorted indices, that are isomorphic to small."""
    return sorted({tuple(sorted(f.tolist())) for f in embeddings(small, big)})


def cyclic(n: int) -> Table:
    """The table of C_n, element k being r^k."""
    k = np.arange(n)
    table: Table = (k[:, None] + k) % n
    return table


def dihedral(n: int) -> Table:
    """The table of D_n, element k + n f being r^k s^f."""
    f, k = np.divmod(np.arange(2 * n), n)
    turned = (k[:, None] + (1 - 2 * f[:, None]) * k) % n
    table: Table = turned + n * (f[:, None] ^ f)
    return table


def permutation_matrices(actions: Table) -> Matrices:
    """Matrices of shape (k, d, d) with M[k] e_j = e_{actions[k, j]}; actions has shape (k, d)."""
    matrices: Matrices = np.eye(actions.shape[1])[:, actions].transpose(1, 0, 2)
    return matrices


def same_matrices(small: Matrices | None, big: Matrices | None) -> Indices:
    """Sorted places of the small list's matrices in the big list; empty if one is missing."""
    if small is None or big is None or small.shape[1:] != big.shape[1:]:
        return ()
    close = np.isclose(small[:, None], big[None], atol=1e-9).all(axis=(2, 3))
    return tuple(np.flatnonzero(close.any(0)).tolist()) if close.any(1).all() else ()
