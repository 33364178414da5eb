"""Circular padding and convolution, against torch's own."""

import pytest
import torch
from torch.nn import functional

from relaxeq.paths.stages.torus import torus_conv, torus_pad

CASES = [((2, 3, 4, 5), 1), ((2, 1, 4, 4), 2), ((1, 2, 1, 1), 1), ((2, 2, 2, 3), 2), ((3, 4, 4), 1)]


def plain(x, reach):
    return functional.pad(x, (reach,) * 4, mode="circular")


@pytest.mark.parametrize(("shape", "reach"), CASES)
def test_padding(shape, reach, float64):
    x = torch.randn(shape, requires_grad=True)
    y, truth = torus_pad(x, reach), plain(x, reach)
    assert torch.equal(y, truth)
    g = torch.randn_like(y)
    found, expected = (torch.autograd.grad(z, x, g)[0] for z in (y, truth))
    torch.testing.assert_close(found, expected)
    assert torus_pad(x, 0) is x


# Forward derivatives make torch script some of its own functions.
torch_scripts = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")


@torch_scripts
@pytest.mark.parametrize(("shape", "reach"), CASES[:2])
def test_derivatives_of_every_kind(shape, reach, float64):
    x = torch.randn(shape, requires_grad=True)
    pad = lambda x: torus_pad(x, reach)  # noqa: E731
    assert torch.autograd.gradcheck(pad, x, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: pad(x) ** 2, x, check_fwd_over_rev=True)


@torch_scripts
def test_transforms(float64):
    x, v = torch.randn(2, 2, 3, 4), torch.randn(2, 2, 3, 4)
    _, tangent = torch.func.jvp(lambda x: torus_pad(x, 1) ** 2, (x,), (v,))
    _, truth = torch.func.jvp(lambda x: plain(x, 1) ** 2, (x,), (v,))
    torch.testing.assert_close(tangent, truth)
    jacobians = torch.func.vmap(torch.func.jacrev(lambda x: torus_pad(x, 1).sin()))(x)
    expected = torch.func.vmap(torch.func.jacrev(lambda x: plain(x, 1).sin()))(x)
    torch.testing.assert_close(jacobians, expected)


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("groups", [1, 2])
def test_convolution(kernel, groups, float64):
    x, weight = torch.randn(2, 4, 5, 6), torch.randn(6, 4 // groups, kernel, kernel)
    truth = functional.conv2d(plain(x, kernel // 2), weight, groups=groups)
    torch.testing.assert_close(torus_conv(x, weight, groups), truth)
