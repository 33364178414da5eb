"""Circular padding, against indices modulo the grid and against torch's own."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional

from relaxeq.sites import FastCircularPad, circular_pad

CASES = [
    ((2, 3, 4, 5), (1, 1, 1, 1)),
    ((2, 3, 4, 5), (2, 0, 1, 4)),
    ((2, 1, 1, 1), (1, 1, 1, 1)),
    ((1, 2, 2, 3), (3, 3, 2, 0)),
    ((2, 3, 4, 4), (0, 0, 0, 2)),
    ((2, 3, 5), (2, 1)),
    ((3, 4, 4), (1, 2, 2, 1)),
    ((2, 2, 3, 2, 4), (1, 0, 2, 1, 0, 3)),
]


def indexed(x, pad):
    """Every axis continued by indices modulo its size."""
    for i in range(len(pad) // 2):
        axis = x.ndim - 1 - i
        size = x.shape[axis]
        index = torch.arange(-pad[2 * i], size + pad[2 * i + 1]) % size
        x = x.index_select(axis, index)
    return x


def formats(shape):
    yield lambda x: x
    yield lambda x: x.transpose(-1, -2).contiguous().transpose(-1, -2)
    if len(shape) == 4:
        yield lambda x: x.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("shape", "pad"), CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients(shape, pad, dtype):
    for arranged in formats(shape):
        x = arranged(torch.randn(shape, dtype=dtype)).requires_grad_()
        y, truth = circular_pad(x, pad), indexed(x, pad)
        assert torch.equal(y, truth)
        g = torch.randn_like(y)
        found, expected = (torch.autograd.grad(z, x, g)[0] for z in (y, truth))
        torch.testing.assert_close(found, expected)


def test_channels_stay_last():
    last = torch.channels_last
    x = torch.randn(2, 3, 4, 5).contiguous(memory_format=last).requires_grad_()
    y = circular_pad(x, (1, 1, 1, 1))
    (gradient,) = torch.autograd.grad(y, x, torch.randn_like(y))
    assert y.is_contiguous(memory_format=last)
    assert gradient.stride()[1:] == x.stride()[1:]  # whole lines, apart in memory by data alone
    assert circular_pad(x.detach().contiguous(), (1, 1, 1, 1)).is_contiguous()


def test_no_padding_is_no_copy():
    x = torch.randn(1, 1, 3, 3)
    assert circular_pad(x, (0, 0, 0, 0)) is x


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")
@pytest.mark.parametrize(("shape", "pad"), CASES[:3])
def test_derivatives_of_every_kind(shape, pad, float64):
    x = torch.randn(shape, requires_grad=True)
    checks = {"check_forward_ad": True, "check_batched_grad": True}
    assert torch.autograd.gradcheck(lambda x: circular_pad(x, pad), x, **checks)
    assert torch.autograd.gradgradcheck(lambda x: circular_pad(x, pad) ** 2, x)


def test_wrapping_more_than_once_is_refused_as_by_torch():
    x = torch.randn(1, 1, 2, 2)
    with pytest.raises(RuntimeError, match="wrapping around more than once"):
        circular_pad(x, (3, 0, 0, 0))
    cropped = functional.pad(x, (-1, 1, 0, 0), mode="circular")
    assert torch.equal(circular_pad(x, (-1, 1, 0, 0)), cropped)


def test_the_mode_pads_what_is_circular_and_nothing_else():
    x = torch.randn(2, 1, 3, 3)
    modes = ("circular", "constant", "reflect", "replicate")
    truth = {mode: functional.pad(x, (1, 1, 1, 1), mode=mode) for mode in modes}
    with FastCircularPad():
        for mode in modes:
            assert torch.equal(functional.pad(x, (1, 1, 1, 1), mode=mode), truth[mode])
            assert torch.equal(functional.pad(input=x, pad=(1, 1, 1, 1), mode=mode), truth[mode])
        assert torch.equal(functional.pad(x, (1, 1, 1, 1), "circular"), truth["circular"])
        filled = functional.pad(x, (1, 0), value=2.0)
    assert filled[0, 0, 0, 0] == 2.0


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_mode_reaches_the_layers_of_torch(rank, float64):
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[rank - 1]
    for stride, kernel in itertools.product((1, 2), (2, 3)):
        layer = kind(2, 3, kernel, stride, padding=1, padding_mode="circular")
        x = torch.randn(2, 2, *range(3, 3 + rank), requires_grad=True)
        truth = layer(x)
        with FastCircularPad():
            found = layer(x)
        assert "_PadBackward" in names(found.grad_fn)
        assert "_PadBackward" not in names(truth.grad_fn)
        torch.testing.assert_close(found, truth)


def names(node):
    """Names of the functions that led to a result."""
    seen, open_nodes = [], [node]
    while open_nodes:
        node = open_nodes.pop()
        if node is not None:
            seen.append(type(node).__name__)
            open_nodes += [parent for parent, _ in node.next_functions]
    return seen
