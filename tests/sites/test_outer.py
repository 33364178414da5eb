"""Sums of outer products against einsum: every memory order, thread and stripe."""

import pytest
import torch

from relaxeq.sites import Rearranged, add_gram_, gram_of, mirror_
from relaxeq.sites.outer import LONG, NARROW, WIDTH, add_upper_

pytestmark = pytest.mark.usefixtures("float64")

SIZES = [
    (3, 1, 2, 5),
    (3, 2, 1, 4),
    (4, 3, 2, 2 * WIDTH - 1),  # the largest without stripes
    (4, 1, 1, 2 * WIDTH),
    (2, 2, 3, 2 * WIDTH + 7),  # a last stripe that is narrower
    (2, 1, 1, 5 * WIDTH + 3),  # wider stripes
    (3, 2, LONG * 3, 3),  # long: a product per datum
    (3, 2, LONG * 3 - 1, 3),
    (3, 2, LONG * (NARROW - 1), NARROW - 1),  # two positions side by side
    (3, 2, LONG * 5 + 1, 5),
    (0, 2, 3, 4),
    (2, 1, 3, 0),
]


def orders(x):
    """One tensor in several orders of memory."""
    yield x
    for order in ((1, 0, 2, 3), (0, 1, 3, 2), (3, 2, 1, 0), (1, 3, 0, 2)):
        back = [order.index(axis) for axis in range(4)]
        yield x.permute(order).contiguous().permute(back)
    yield torch.stack([x, x], -1)[..., 0]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_gram_is_the_sum_of_outer_products(size):
    for x in orders(torch.randn(size)):
        torch.testing.assert_close(gram_of(x), torch.einsum("nbsd,nbse->bde", x, x))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_running_totals(size):
    """Totals may start from whole Grams, and take whole ones in between."""
    first, second, third = torch.randn(3, *size)
    total = gram_of(first)
    add_upper_(total, second)
    total += gram_of(third)
    whole = torch.einsum("mnbsd,mnbse->bde", *[torch.stack([first, second, third])] * 2)
    torch.testing.assert_close(mirror_(total), whole)
    torch.testing.assert_close(mirror_(total), whole)  # a second time changes nothing


@pytest.mark.parametrize(("stripes", "width"), [(3, WIDTH), (4, WIDTH), (4, 2 * WIDTH)])
def test_only_upper_stripes_are_multiplied(stripes, width):
    """What lies left of a stripe stays as it was: that is the half that is saved."""
    features = stripes * width
    total = add_upper_(torch.zeros(1, features, features), torch.ones(1, 1, 1, features))
    assert int((total == 0).sum()) == width * width * stripes * (stripes - 1) // 2


def test_grams_are_symmetric_to_the_last_digit():
    gram = gram_of(torch.randn(5, 2, 3, 2 * WIDTH + 50))
    assert torch.equal(gram, gram.mT)


def test_gradients_pass_through():
    x = torch.randn(2, 1, 1, 2 * WIDTH, requires_grad=True)
    weights = torch.randn(1, 2 * WIDTH, 2 * WIDTH)
    (found,) = torch.autograd.grad((gram_of(x) * weights).sum(), x)
    (truth,) = torch.autograd.grad((torch.einsum("nbsd,nbse->bde", x, x) * weights).sum(), x)
    torch.testing.assert_close(found, truth)


def test_layouts_add_to_a_total():
    layout, tensors = Rearranged("n c -> n 1 1 c"), torch.randn(2, 3, 2 * WIDTH)
    total = layout.gram(tensors[0])
    add_gram_(total, layout, tensors[1])
    torch.testing.assert_close(mirror_(total)[0], torch.einsum("mnc,mnd->cd", tensors, tensors))
