"""Cayley-table arithmetic: against brute force over all maps and words."""

import itertools

import numpy as np
import pytest

from relaxeq import groups
from relaxeq.errors import GroupError
from relaxeq.groups import tables

TABLES = [
    groups.trivial().mul,
    groups.cyclic(4).mul,
    groups.dihedral(2).mul,
    groups.symmetric(3).mul,
    groups.dihedral(3).mul,
    groups.cyclic(6).mul,
]


@pytest.mark.parametrize("source", TABLES, ids=len)
@pytest.mark.parametrize("target", TABLES, ids=len)
def test_embeddings_are_all_injective_homomorphisms(source, target):
    brute = set()
    for images in itertools.permutations(range(len(target)), len(source)):
        f = np.array(images)
        if (target[np.ix_(f, f)] == f[source]).all():
            brute.add(images)
    found = [tuple(f.tolist()) for f in tables.embeddings(source, target)]
    assert set(found) == brute
    assert len(found) == len(brute)


@pytest.mark.parametrize("mul", TABLES, ids=len)
def test_words_spell_the_elements_and_are_shortest(mul):
    generators = tables.generators_of(mul)
    words = tables.words(mul, generators)
    for element, word in enumerate(words):
        product = tables.identity_of(mul)
        for place in word:
            product = mul[product, generators[place]]
        assert product == element
        shorter = itertools.product(range(len(generators)), repeat=max(len(word) - 1, 0))
        for other in shorter if word else ():
            product = tables.identity_of(mul)
            for place in other:
                product = mul[product, generators[place]]
            assert product != element


@pytest.mark.parametrize("mul", TABLES, ids=len)
def test_orders(mul):
    for i, order in enumerate(tables.orders_of(mul)):
        powers = [i]
        while powers[-1] != tables.identity_of(mul):
            powers.append(int(mul[powers[-1], i]))
        assert len(powers) == order


def test_the_identity_may_stand_anywhere():
    shuffle = np.array([2, 0, 1])
    mul = np.argsort(shuffle)[groups.cyclic(3).mul[np.ix_(shuffle, shuffle)]]
    group = groups.from_cayley_table(mul)
    assert group.identity.index == 1
    assert group.generators
    assert group.inv.tolist() == [2, 1, 0]
    assert group.regular(group.identity).tolist() == np.eye(3).tolist()
    assert [rho.dim for rho in group.irreps] == [1, 2]


def test_too_many_elements_to_list_subgroups():
    with pytest.raises(GroupError, match="720 elements are too many to list all subgroups"):
        groups.symmetric(6).subgroups()
