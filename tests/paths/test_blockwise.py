"""Products per block: values, derivatives of every kind, and where they lie in memory."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import torch

from relaxeq.paths.blockwise import NARROW, blockwise, readable
from relaxeq.sites import wanting

pytestmark = pytest.mark.usefixtures("float64")

ORDERS = [(0, 1, 2), (1, 0, 2), (1, 2, 0), (0, 2, 1), (2, 1, 0)]


def arranged(shape, order):
    """A random tensor whose axes lie in this order in memory, the last side by side."""
    back = [order.index(axis) for axis in range(3)]
    return torch.randn([shape[axis] for axis in order]).permute(back).requires_grad_()


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("data_last", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_values_and_gradients(order, data_last, turned):
    x = arranged((5, 3, 4), order)
    weight = arranged((3, 4, 2), (0, 2, 1) if turned else (0, 1, 2))
    z, truth = blockwise(x, weight, data_last), torch.einsum("nbi,bio->nbo", x, weight)
    torch.testing.assert_close(z, truth)
    for g in (torch.randn(5, 3, 2), torch.randn(5, 2, 3).mT, torch.randn(3, 2, 5).permute(2, 0, 1)):
        found, expected = (torch.autograd.grad(y, (x, weight), g, True) for y in (z, truth))
        torch.testing.assert_close(found, expected)
    assert torch.equal(torch.autograd.grad(z, x, g, True)[0], torch.autograd.grad(z, x, g)[0])


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0)], ids=str)
@pytest.mark.parametrize("data_last", [False, True])
def test_derivatives_of_every_kind(order, data_last):
    x, weight = arranged((2, 3, 2), order), arranged((3, 2, 2), (0, 1, 2))

    def run(x, weight):
        return blockwise(x, weight, data_last)

    checks = {"check_forward_ad": True, "check_batched_grad": True}
    assert torch.autograd.gradcheck(run, (x, weight), **checks)
    assert torch.autograd.gradgradcheck(run, (x, weight))


def test_one_gradient_alone():
    x, weight = torch.randn(2, 3, 4, requires_grad=True), torch.randn(3, 4, 2)
    blockwise(x, weight).sum().backward()
    torch.testing.assert_close(x.grad, weight.sum(2).expand(2, 3, 4))
    weight.requires_grad_()
    blockwise(x.detach(), weight).sum().backward()
    torch.testing.assert_close(weight.grad, x.detach().sum(0)[..., None].expand(3, 4, 2))


def test_memory():
    """A chain between axes (block, feature) and (feature, block) is read without copies."""
    wide = NARROW + 1
    x, first, second = torch.randn(6, 3, wide), torch.randn(3, wide, 4), torch.randn(4, 3, wide)
    x.requires_grad_()
    between = blockwise(x, first, data_last=True).mT
    assert between.stride()[0] == 1
    z = blockwise(between, second)
    assert z.transpose(0, 1).is_contiguous()
    of_between, of_x = torch.autograd.grad(z, (between, x), torch.randn_like(z))
    assert of_between.stride()[0] == 1
    assert of_x.transpose(0, 1).is_contiguous()


def test_few_features_keep_data_side_by_side():
    x, weight = torch.randn(3, 4, 6).permute(2, 0, 1), torch.randn(3, 4, 2)
    assert blockwise(x, weight).stride(0) == 1
    assert blockwise(x.contiguous(), weight).stride(0) != 1
    few, many = (torch.randn(5, width, 3).mT.requires_grad_() for width in (NARROW, NARROW + 1))
    assert readable(few).stride(0) == 1
    assert readable(many).is_contiguous()
    assert readable(torch.randn(5, 3, 1)).stride(0) == 1
    for x in (few, many):
        y = readable(x)
        assert torch.equal(y, x)
        (gradient,) = torch.autograd.grad(y, x, torch.randn_like(y))
        assert gradient.stride() == x.stride()
        assert readable(y) is y


def test_gradients_of_weights_are_left_out_where_nobody_asks():
    x, weight = torch.randn(2, 3, 4, requires_grad=True), torch.randn(3, 4, 2, requires_grad=True)
    with wanting() as wanted:
        z = blockwise(x, weight)
    other = blockwise(x, weight)
    truth = torch.autograd.grad(z.sum(), x, retain_graph=True)[0]
    ask = partial(torch.autograd.grad, retain_graph=True, allow_unused=True)
    with wanted.activations_only(), ThreadPoolExecutor(1) as pool:
        here = ask(z.sum(), (x, weight))
        there = pool.submit(ask, z.sum(), (x, weight)).result()  # as a GPU's backward passes run
        of_other = ask(other.sum(), weight)[0]
    for of_x, of_weight in (here, there):
        assert of_weight is None
        assert torch.equal(of_x, truth)
    for of_weight in (of_other, ask(z.sum(), weight)[0]):
        torch.testing.assert_close(of_weight, x.detach().sum(0)[..., None].expand(3, 4, 2))


def test_vmap():
    x, weight = torch.randn(3, 2, 3, 4), torch.randn(3, 4, 2)
    found = torch.vmap(blockwise, in_dims=(0, None))(x, weight)
    torch.testing.assert_close(found, torch.einsum("mnbi,bio->mnbo", x, weight))
    gradient = torch.func.grad(lambda w: blockwise(x[0], w).square().sum())(weight)
    truth = torch.func.grad(lambda w: torch.einsum("nbi,bio->nbo", x[0], w).square().sum())(weight)
    torch.testing.assert_close(gradient, truth)


def test_autocast_rounds_as_for_torch():
    x, weight = torch.randn(2, 3, 4, dtype=torch.float32), torch.randn(3, 4, 2, dtype=torch.float32)
    weight.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        z = blockwise(x, weight)
    assert z.dtype == torch.bfloat16
    z.float().sum().backward()
    assert weight.grad.dtype == torch.float32
