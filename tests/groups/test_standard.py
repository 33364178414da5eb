"""The named families."""

import itertools
import math
from inspect import unwrap

import numpy as np
import pytest

from relaxeq import groups
from relaxeq.errors import GroupError

ORDERS = [
    (groups.octahedral, 24, 10, 3),
    (groups.full_octahedral, 48, None, 3),
    (groups.icosahedral, 60, 9, 3),
    (groups.full_icosahedral, 120, None, 3),
    (lambda: groups.symmetric(4), 24, 11, 4),
    (lambda: groups.direct_product(groups.cyclic(2), groups.cyclic(3)), 6, 4, 4),
]


@pytest.mark.parametrize(("make", "order", "classes", "dim"), ORDERS)
def test_orders_and_natural_representation(make, order, classes, dim):
    group = make()
    assert group.order == order
    assert group.natural.dim == dim
    products = np.einsum("gij,hjk->ghik", group.concrete, group.concrete)
    np.testing.assert_allclose(products, group.concrete[group.mul], atol=1e-12)
    for g in group.elements[:: max(1, order // 10)]:
        np.testing.assert_allclose(group.natural(g), group.concrete[g.index], atol=1e-12)


def test_symmetric_is_all_permutations():
    for n in (1, 2, 3, 4):
        group = groups.symmetric(n)
        assert group.order == math.factorial(n)
        listed = [tuple(np.argmax(m, axis=0).tolist()) for m in group.concrete]
        assert listed == list(itertools.permutations(range(n)))
    with pytest.raises(GroupError, match="n = 7 has 7! elements"):
        groups.symmetric(7)
    with pytest.raises(GroupError, match=r"symmetric\(n\): n = 'x' is not a whole number"):
        unwrap(groups.symmetric)("x")


def test_direct_product_multiplies_pairs():
    left, right = groups.symmetric(3), groups.cyclic(4)
    product = groups.direct_product(left, right)
    assert repr(product) == "S3 × C4"
    for i, j in itertools.product(range(24), repeat=2):
        (a, b), (c, d) = divmod(i, 4), divmod(j, 4)
        assert product.mul[i, j] == left.mul[a, c] * 4 + right.mul[b, d]
    assert product.names[5] == "((1 2), r)"
    bare = groups.direct_product(groups.from_cayley_table(left.mul), right)
    assert bare == product
    with pytest.raises(GroupError, match="was not written down as permutations or matrices"):
        _ = bare.natural
    assert groups.direct_product(left) == left
    with pytest.raises(GroupError, match="factors: none given"):
        groups.direct_product()


def test_cyclic_factors_of_coprime_order_make_a_cyclic_group():
    product = groups.direct_product(groups.cyclic(2), groups.cyclic(3))
    assert groups.cyclic(6).is_subgroup(product)
    assert not groups.cyclic(4).is_subgroup(
        groups.direct_product(groups.cyclic(2), groups.cyclic(2))
    )
