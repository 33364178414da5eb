"""Dense matrices of paths against the sums of Eqs. 1, 3, 5 and against group averages."""

import itertools
import math

import pytest
import torch
from torch import nn

from relaxeq import Field, groups
from relaxeq.paths import FC, FactoredFC, GroupConv

pytestmark = pytest.mark.usefixtures("float64")
Z2 = groups.planar("Z2")


def fields(in_, out, size, coarse=None, group=Z2):
    return Field(group, in_, size), Field(group, out, coarse or size)


def fill(path):
    for parameter in path.parameters():
        nn.init.normal_(parameter)
    return path


SHAPES = [((2, 3), (2, 3)), ((2, 2), (1, 1)), ((4, 2), (2, 1)), ((1, 1), (1, 1))]


@pytest.mark.parametrize(("size", "coarse"), SHAPES)
def test_fully_connected_is_equation_1(size, coarse):
    path = fill(FC(*fields(2, 3, size, coarse)))
    pixels = list(itertools.product(*map(range, size)))
    places = list(itertools.product(*map(range, coarse)))
    weights = path.theta.detach().view(3, *coarse, 2, *size)
    x = torch.randn(4, 2, *size)
    y = torch.zeros(4, 3, *coarse)
    for c1, (r1, q1), c, (r, q) in itertools.product(range(3), places, range(2), pixels):
        y[:, c1, r1, q1] += weights[c1, r1, q1, c, r, q] * x[:, c, r, q]
    torch.testing.assert_close(path(x), y)
    torch.testing.assert_close(path.matrix(), path.theta.detach())


@pytest.mark.parametrize(("size", "coarse"), SHAPES)
def test_factored_is_equation_5(size, coarse):
    path = fill(FactoredFC(*fields(2, 3, size, coarse)))
    theta1 = path.theta1.detach().view(3, 2, *coarse)
    theta2 = path.theta2.detach().view(3, 2, *size)
    x = torch.randn(4, 2, *size)
    y = torch.zeros(4, 3, *coarse)
    for c1, c in itertools.product(range(3), range(2)):
        inner = torch.zeros(4)
        for r, q in itertools.product(*map(range, size)):
            inner += theta2[c1, c, r, q] * x[:, c, r, q]
        for r1, q1 in itertools.product(*map(range, coarse)):
            y[:, c1, r1, q1] += theta1[c1, c, r1, q1] * inner
    torch.testing.assert_close(path(x), y)
    dense = torch.einsum("ocq,ocp->oqcp", theta1.flatten(2), theta2.flatten(2))
    torch.testing.assert_close(path.matrix(), dense.flatten(2).flatten(0, 1))


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (2, 4), (4, 4), (5, 5), (3, 2)])
def test_convolution_is_equation_3(size, kernel):
    """y(c', p) = Σ_{c,δ} θ(c', c, δ) x(c, p+δ) on the torus; taps that coincide add up."""
    if kernel // 2 > min(size):
        return  # layers refuse it: test_relaxed.py
    path = fill(GroupConv(*fields(2, 3, size), kernel, Z2.point_group.subgroup([])))
    theta = path.theta.detach().view(3, 2, kernel, kernel)
    x, reach = torch.randn(2, 2, *size), kernel // 2
    y = torch.zeros(2, 3, *size)
    for c1, c, r, q in itertools.product(range(3), range(2), *map(range, size)):
        for i, j in itertools.product(range(kernel), repeat=2):
            pixel = x[:, c, (r + i - reach) % size[0], (q + j - reach) % size[1]]
            y[:, c1, r, q] += theta[c1, c, i, j] * pixel
    torch.testing.assert_close(path(x), y)
    torch.testing.assert_close(x.flatten(1) @ path.matrix().T, y.flatten(1))


def subgroups():
    """Every subgroup of p4, p4m and pmm, every pair of representations."""
    for name in ("p4", "p4m", "pmm"):
        group = groups.planar(name)
        for part in group.point_group.subgroups():
            for reps in itertools.product(("regular", "trivial"), repeat=2):
                yield pytest.param(group, part, reps, id=f"{part}-{reps[0]}-{reps[1]}")


def permutation(field, element):
    """ρ(a) as a matrix, by acting on the standard basis."""
    basis = torch.eye(field.dim).view(field.dim, *field.shape)
    return field.act(element, basis).flatten(1).T


@pytest.mark.parametrize(("group", "part", "reps"), list(subgroups()))
def test_full_filters_are_all_that_commute(group, part, reps):
    """On 3×3 a 3×3 filter sees every pixel, so θ ↦ W must span Hom of Z2 ⋊ K, and nothing else.

    W is its own projection (Σ_a ρ(a)⁻¹ W ρ(a))/|G|, and P = (Σ_a χ_out(a) χ_in(a))/|G|.
    """
    source, target = (Field(group, 1, (3, 3), rep=rep) for rep in reps)
    path = fill(GroupConv(source, target, 3, part))
    weight = path.matrix()
    average, dimension = torch.zeros_like(weight), 0.0
    elements = [
        group.element(shift, group.point_group.elements[h])
        for h in part.embedding
        for shift in itertools.product(range(3), repeat=2)
    ]
    for a in elements:
        of_in, of_out = permutation(source, a), permutation(target, a)
        average += of_out.T @ weight @ of_in / len(elements)
        dimension += float(of_in.trace() * of_out.trace()) / len(elements)
    torch.testing.assert_close(average, weight)
    assert path.size == round(dimension)
    assert torch.linalg.matrix_rank(span(path)) == path.size


def span(path):
    """vec(W) of every basis parameter, one a row."""
    basis = torch.eye(math.prod(path.in_shape)).view(-1, *path.in_shape)

    def matrix(theta):
        return torch.func.functional_call(path, {"theta": theta}, (basis,)).flatten(1).T.flatten()

    each = torch.eye(path.theta.numel()).view(-1, *path.theta.shape)
    return torch.vmap(matrix, chunk_size=64)(each)


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_small_filters_keep_their_support(kernel):
    """On 6×6 the span has full rank and touches only pixels within reach."""
    group = groups.planar("p4")
    source, target = (Field(group, 1, (6, 6)) for _ in range(2))
    path = GroupConv(source, target, kernel, group.point_group.subgroup([1]))
    rows = span(path).view(path.size, *target.shape, *source.shape)
    assert path.size == 4 * kernel**2
    assert torch.linalg.matrix_rank(rows.flatten(1)) == path.size
    used = rows[:, :, 3, 3].abs().sum((0, 1, 2)) > 0
    reach = kernel // 2
    expected = torch.zeros(6, 6, dtype=torch.bool)
    for i, j in itertools.product(range(-reach, reach + 1), repeat=2):
        expected[(3 + i) % 6, (3 + j) % 6] = True
    assert torch.equal(used, expected)


def test_channels_are_mixed_fully_and_in_order():
    """W[(c', k'), (c, k)] for two channels is made of the blocks of one-channel paths."""
    group = groups.planar("p4")
    part = group.point_group.subgroup([1])
    path = fill(GroupConv(Field(group, 2, (3, 3)), Field(group, 3, (3, 3)), 3, part))
    blocks = path.matrix().view(3, 36, 2, 36)
    theta = path.theta.detach().view(3, 1, 2, 36)
    for c1, c in itertools.product(range(3), range(2)):
        one = GroupConv(Field(group, 1, (3, 3)), Field(group, 1, (3, 3)), 3, part)
        one.theta.data = theta[c1, :, c].clone()
        torch.testing.assert_close(one.matrix(), blocks[c1, :, c])
