"""KFAC of torch's own layers against the definition, with patches gathered by hand."""

import itertools

import pytest
import torch
from torch import nn

from relaxeq import kfac

pytestmark = pytest.mark.usefixtures("float64")


class Headed(nn.Module):
    def __init__(self, first, x):
        super().__init__()
        self.first = first
        self.head = nn.Linear(first(x).flatten(1).shape[1], 3).requires_grad_(False)

    def forward(self, x):
        return self.head(torch.tanh(self.first(x)).flatten(1))


def output_gradients(net, x):
    """Root columns of Λ pulled back to the first layer's output, datum by datum."""
    z = net.first(x[None]).detach().requires_grad_()
    f = net.head(torch.tanh(z).flatten(1))[0]
    p = f.detach().softmax(0)
    jac = torch.stack([torch.autograd.grad(f[k], z, retain_graph=True)[0][0] for k in range(3)])
    return jac, torch.diag(p) - torch.outer(p, p)


def source_of(index, size, mode):
    """The pixel that padding puts at an index outside 0..size−1; None for a zero."""
    if 0 <= index < size:
        return index
    if mode == "zeros":
        return None
    if mode == "circular":
        return index % size
    if mode == "replicate":
        return min(max(index, 0), size - 1)
    return -index if index < 0 else 2 * (size - 1) - index  # reflect


def patches(conv, x, grid):
    """a[s][group] of (channel, offset), position by position, tap by tap."""
    per_group = conv.in_channels // conv.groups
    before = [p // 2 if conv.padding == "same" else p for p in total_padding(conv)]
    offsets = list(itertools.product(*(range(k) for k in conv.kernel_size)))
    for position in itertools.product(*(range(n) for n in grid)):
        yield [
            torch.stack([
                pixel(conv, x[b * per_group + c], position, offset, before)
                for c in range(per_group)
                for offset in offsets
            ])
            for b in range(conv.groups)
        ]  # fmt: skip


def total_padding(conv):
    if conv.padding == "same":
        return [d * (k - 1) for d, k in zip(conv.dilation, conv.kernel_size, strict=True)]
    return [0] * len(conv.kernel_size) if conv.padding == "valid" else conv.padding


def pixel(conv, channel, position, offset, before):
    where = []
    for axis, (p, o) in enumerate(zip(position, offset, strict=True)):
        index = p * conv.stride[axis] + o * conv.dilation[axis] - before[axis]
        index = source_of(index, channel.shape[axis], conv.padding_mode)
        if index is None:
            return torch.tensor(0.0)
        where.append(index)
    return channel[tuple(where)]


CONVS = {
    "2d zeros": (lambda: nn.Conv2d(2, 3, 3, padding=1), (2, 3, 4)),
    "2d valid": (lambda: nn.Conv2d(2, 3, 2), (2, 3, 4)),
    "2d circular": (lambda: nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), (2, 3, 4)),
    "2d circular 5×5": (lambda: nn.Conv2d(1, 2, 5, padding=2, padding_mode="circular"), (1, 4, 4)),
    "2d circular, too little padding": (
        lambda: nn.Conv2d(2, 2, 5, padding=1, padding_mode="circular"),
        (2, 4, 4),
    ),
    "2d circular, stride 2": (
        lambda: nn.Conv2d(2, 2, 3, 2, padding=1, padding_mode="circular"),
        (2, 4, 4),
    ),
    "2d circular, even kernel": (
        lambda: nn.Conv2d(2, 2, 2, padding=1, padding_mode="circular"),
        (2, 3, 3),
    ),
    "2d circular, kernel not square": (
        lambda: nn.Conv2d(2, 2, (1, 3), padding=(0, 1), padding_mode="circular"),
        (2, 3, 3),
    ),
    "2d reflect": (lambda: nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), (2, 3, 4)),
    "2d replicate": (lambda: nn.Conv2d(2, 2, 3, padding=2, padding_mode="replicate"), (2, 2, 3)),
    "2d stride, dilation": (lambda: nn.Conv2d(2, 2, 2, (2, 1), 1, (1, 2)), (2, 4, 4)),
    "2d padding not square": (lambda: nn.Conv2d(2, 2, (3, 2), padding=(1, 0)), (2, 3, 3)),
    "2d same": (lambda: nn.Conv2d(2, 2, (1, 3), padding="same", dilation=2), (2, 3, 3)),
    "2d same, dilated, reflect": (
        lambda: nn.Conv2d(1, 2, 2, padding="same", dilation=3, padding_mode="reflect"),
        (1, 4, 5),
    ),
    "2d groups": (lambda: nn.Conv2d(4, 6, 3, padding=1, groups=2), (4, 3, 3)),
    "2d depthwise circular": (
        lambda: nn.Conv2d(3, 3, 3, padding=1, groups=3, padding_mode="circular"),
        (3, 3, 3),
    ),
    "1d": (lambda: nn.Conv1d(4, 4, 3, 2, 1, groups=2), (4, 6)),
    "1d circular": (lambda: nn.Conv1d(2, 3, 3, padding=1, padding_mode="circular"), (2, 5)),
    "3d": (lambda: nn.Conv3d(2, 2, (1, 2, 3), (1, 2, 1), (0, 0, 1)), (2, 2, 4, 3)),
    "3d replicate": (
        lambda: nn.Conv3d(1, 2, 3, padding=1, padding_mode="replicate"),
        (1, 2, 2, 2),
    ),
    "no bias": (lambda: nn.Conv2d(1, 2, 2, bias=False), (1, 3, 3)),
}


@pytest.mark.parametrize("name", CONVS)
def test_convolutions(name):
    build, shape = CONVS[name]
    xs, ys = torch.randn(3, *shape), torch.tensor([0, 1, 2])
    net = Headed(conv := build(), xs[:1])
    blocks, out = conv.groups, conv.out_channels // conv.groups
    fan_in = conv.weight[0].numel()
    gram_a, gram_g = torch.zeros(blocks, fan_in, fan_in), torch.zeros(blocks, out, out)
    bias = torch.zeros(conv.out_channels, conv.out_channels)
    for x in xs:
        jac, hessian = output_gradients(net, x)
        grid = jac.shape[2:]
        flat = jac.flatten(2)
        for s, patch in enumerate(patches(conv, x, grid)):
            for b in range(blocks):
                g = flat[:, b * out : (b + 1) * out, s].T
                gram_a[b] += torch.outer(patch[b], patch[b])
                gram_g[b] += g @ hessian @ g.T
        summed = flat.sum(2).T
        bias += summed @ hessian @ summed.T
    found = kfac(net, [(xs, ys)])
    shared = flat.shape[2]
    truth = torch.block_diag(*(torch.kron(g, a) for g, a in zip(gram_g, gram_a, strict=True)))
    torch.testing.assert_close(found["first.weight"].dense(), truth / (3 * shared))
    if conv.bias is None:
        assert found.keys() == {"first.weight"}
    else:
        torch.testing.assert_close(found["first.bias"].dense(), bias)


CHANGES = {"padding": [(0, 0), 2, "same", "valid"], "stride": [2, (1, 2)], "dilation": [2, (2, 1)]}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n in CHANGES for v in CHANGES[n]])
def test_convolutions_that_are_changed_after_they_were_made(name, value):
    """The site reads what the forward pass reads."""
    x, y = torch.randn(3, 1, 6, 7), torch.tensor([0, 1, 2])
    conv, other = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(1, 2, 3, **{"padding": 1, name: value})
    other.load_state_dict(conv.state_dict())
    setattr(conv, name, value)
    net = Headed(conv, x)
    found = kfac(net, [(x, y)])["first.weight"]
    net.first = other
    torch.testing.assert_close(found.dense(), kfac(net, [(x, y)])["first.weight"].dense())


@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 3, 4)])
def test_linear_over_positions(shape):
    xs, ys = torch.randn(3, *shape), torch.tensor([0, 1, 2])
    net = Headed(nn.Linear(4, 2), xs[:1])
    gram_a, gram_g, bias = torch.zeros(4, 4), torch.zeros(2, 2), torch.zeros(2, 2)
    for x in xs:
        jac, hessian = output_gradients(net, x)
        rows, columns = x.reshape(-1, 4), jac.reshape(3, -1, 2)
        for s, a in enumerate(rows):
            gram_a += torch.outer(a, a)
            gram_g += columns[:, s].T @ hessian @ columns[:, s]
        bias += columns.sum(1).T @ hessian @ columns.sum(1)
    found = kfac(net, [(xs, ys)])
    truth = torch.kron(gram_g, gram_a) / (3 * len(rows))
    torch.testing.assert_close(found["first.weight"].dense(), truth)
    torch.testing.assert_close(found["first.bias"].dense(), bias)
