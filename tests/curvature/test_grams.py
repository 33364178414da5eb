"""Parameters that read the same share one Gram, and no others do."""

import pytest
import torch
from torch import nn

from relaxeq import kfac
from relaxeq.curvature.grams import Sums
from relaxeq.sites import Explicit, Ones, Rearranged, Summed, reading

pytestmark = pytest.mark.usefixtures("float64")

WEIGHT, BIAS = Rearranged("n ... o -> n 1 (...) o"), Summed("n ... c -> n 1 1 c")


def truth(layout, *tensors):
    rows = [layout.expand(t).transpose(1, 2).flatten(0, 1) for t in tensors]  # (n s, b, d)
    return sum(torch.einsum("mbd,mbe->bde", r, r) for r in rows)


SAME = [
    (WEIGHT, BIAS, (3,), True),  # a linear layer on vectors
    (WEIGHT, BIAS, (4, 3), False),  # a bias sums over positions
    (BIAS, Summed("n ... o -> n 1 1 o"), (4, 3), False),  # not told apart by more than the pattern
    (Rearranged("n a b -> n 1 1 (a b)"), Rearranged("n a b -> n 1 1 (b a)"), (2, 3), False),
    (Rearranged("n a b -> n 1 1 (a b)"), Rearranged("n a b -> n 1 (a b) 1"), (2, 3), False),
    (Rearranged("n a b -> n a b 1"), Rearranged("n c d -> n c d 1"), (2, 3), True),
    (Explicit(lambda t: t[:, None, None]), Explicit(lambda t: -2 * t[:, None, None]), (3,), False),
    (Ones(), Ones(), (3,), False),
]


@pytest.mark.parametrize(("one", "other", "shape", "same"), SAME)
def test_what_layouts_read(one, other, shape, same):
    assert (reading(one, shape) == reading(other, shape)) is same
    assert reading(one, shape) == reading(one, shape)


def test_sums_over_batches_and_calls():
    x, y, z = torch.randn(5, 3), torch.randn(2, 3), torch.randn(5, 3)
    sums = Sums()
    sums.add({"a": (WEIGHT, [x, z]), "b": (BIAS, [x, z]), "c": (WEIGHT, [z, x])})
    sums.add({"a": (WEIGHT, [y]), "b": (BIAS, [y])})
    torch.testing.assert_close(sums.of("a"), truth(WEIGHT, x, z, y))
    torch.testing.assert_close(sums.of("c"), truth(WEIGHT, z, x))
    assert sums.of("a") is sums.of("b")
    assert sums.of("d") is None


def test_sharing_may_change_between_batches():
    """a and b read one tensor in the first batch, two in the second, a alone in the third."""
    x, y, z = torch.randn(3, 4, 3)
    sums = Sums()
    sums.add({"a": (WEIGHT, [x]), "b": (BIAS, [x])})
    sums.add({"a": (WEIGHT, [y]), "b": (BIAS, [z])})
    sums.add({"a": (WEIGHT, [z])})
    torch.testing.assert_close(sums.of("a"), truth(WEIGHT, x, y, z))
    torch.testing.assert_close(sums.of("b"), truth(WEIGHT, x, z))


def test_equal_values_in_other_memory_or_order_are_not_shared():
    x = torch.randn(3, 3)
    sums = Sums()
    sums.add({"a": (WEIGHT, [x]), "b": (WEIGHT, [x.clone()]), "c": (WEIGHT, [x.mT])})
    torch.testing.assert_close(sums.of("c"), x @ x.mT[None])
    assert sums.of("a") is not sums.of("b")


def test_weight_and_bias_of_a_linear_layer_share_their_output_factor():
    net = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)).eval()
    loader = [(torch.randn(5, 4), torch.randint(2, (5,))) for _ in range(2)]
    found = kfac(net, loader)
    for layer in "02":
        assert found[f"{layer}.weight"].outputs is found[f"{layer}.bias"].outputs
    assert found["0.weight"].outputs is not found["2.weight"].outputs
