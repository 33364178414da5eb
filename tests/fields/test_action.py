"""The action on feature tensors against loops over pixels, np.rot90, np.flip and np.roll."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from relaxeq import Field, groups

# escnn's order: rotations, then flips; element k + n f turns by k steps after flipping columns.
POINT_GROUPS = {"C1": (1, 1), "C2": (2, 1), "C4": (4, 1), "D1": (1, 2), "D2": (2, 2), "D4": (4, 2)}
SQUARE_ONLY = ("C4", "D4")
SIZES = [(1, 1), (2, 2), (3, 3), (4, 4)]
OBLONG = [(2, 3), (1, 4), (4, 2)]


def planar(name):
    return groups.semidirect(groups.Z2(), groups.point_group(name))


def by_numpy(name, point, shift, x):
    """Flip columns, turn, roll: on the last two axes."""
    turns, _ = POINT_GROUPS[name]
    flipped, k = divmod(point, turns)
    x = np.flip(x, axis=-1) if flipped else x
    x = np.rot90(x, k * 4 // turns, axes=(-2, -1))
    return np.roll(x, shift, axis=(-2, -1))


def product(name, g, h):
    """g h in the order of POINT_GROUPS: (k, f)(l, e) = (k + (−1)^f l, f + e)."""
    turns, flips = POINT_GROUPS[name]
    (f, k), (e, m) = divmod(g, turns), divmod(h, turns)
    return (k + (-m if f else m)) % turns + turns * ((f + e) % flips)


@pytest.mark.parametrize("rep", ["regular", "trivial"])
@pytest.mark.parametrize("name", POINT_GROUPS)
def test_action_pixel_by_pixel(name, rep):
    """(a·x)[c, h k] = a·(x[c, k]), every channel moved by NumPy and put where the product says."""
    group = planar(name)
    sizes = SIZES if name in SQUARE_ONLY else SIZES + OBLONG
    order = group.point_group.order
    for size, shift in itertools.product(sizes, [(0, 0), (1, 0), (0, -1), (-2, 5)]):
        field = Field(group, 2, size, rep=rep)
        x = field.random(2)
        for point in range(order):
            truth = torch.zeros_like(x)
            for n, c, k in itertools.product(range(2), range(2), range(field.orientations)):
                to = product(name, point, k) if rep == "regular" else k
                moved = by_numpy(name, point, shift, x[n, c * field.orientations + k].numpy())
                truth[n, c * field.orientations + to] = torch.from_numpy(moved.copy())
            a = group.element(shift=shift, point=group.point_group.elements[point])
            assert torch.equal(field.act(a, x), truth)


def test_one_pixel_by_hand():
    """A quarter turn about the centre of 3×3 takes the top right corner to the top left one."""
    field = Field(planar("C4"), 1, (3, 3))
    x = torch.zeros(1, 4, 3, 3)
    x[0, 1, 0, 2] = 1.0
    quarter = field.group.element(shift=(1, 0), point=field.group.point_group.elements[1])
    moved = field.act(quarter, x)
    assert moved[0, 2, 1, 0] == 1.0
    assert moved.sum() == 1.0


@given(
    st.sampled_from(list(POINT_GROUPS)),
    st.sampled_from(["regular", "trivial"]),
    st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9), st.integers(0, 7)), min_size=2,
             max_size=2),
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
)  # fmt: skip
def test_action_is_a_homomorphism(name, rep, steps, size):
    group = planar(name)
    size = (size[0], size[0]) if name in SQUARE_ONLY else size
    field = Field(group, 2, size, rep=rep)
    x = torch.randn(2, *field.shape)
    a, b = (group.element(s[:2], s[2] % group.point_group.order) for s in steps)
    assert torch.equal(field.act(a, field.act(b, x)), field.act(a @ b, x))
    assert torch.equal(field.act(~a, field.act(a, x)), x)
    assert torch.equal(field.act(group.identity, x), x)


@pytest.mark.parametrize("name", POINT_GROUPS)
def test_action_is_faithful(name):
    """Different elements of the torus move random features differently, and keep their values."""
    group = planar(name)
    field = Field(group, 1, (3, 3))
    x = field.random(1)
    images = [field.act(a, x) for a in group.elements((3, 3))]
    assert all(torch.equal(y.flatten().sort().values, x.flatten().sort().values) for y in images)
    assert len({tuple(y.flatten().tolist()) for y in images}) == 9 * group.point_group.order


def test_shifts_wrap_around():
    field = Field(groups.Z2(), 1, (3, 4))
    x = field.random(1)
    far = field.group.element(shift=(3 * 5 + 1, -4 * 7 + 2))
    near = field.group.element(shift=(1, 2))
    assert torch.equal(field.act(far, x), field.act(near, x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtype_and_gradients_pass_through(dtype):
    field = Field(planar("C4"), 1, (2, 2))
    x = field.random(2).to(dtype).requires_grad_()
    a = field.group.element(shift=(1, 0), point=field.group.point_group.elements[3])
    y = field.act(a, x)
    assert y.dtype == dtype
    weights = torch.randn_like(y)
    (gradient,) = torch.autograd.grad((y * weights).sum(), x)
    torch.testing.assert_close(gradient, field.act(~a, weights))
