"""Polyphase subsampling against loops: one phase per datum, floor and ceil, turns and flips."""

import itertools

import numpy as np
import pytest
import torch

from relaxeq import Field, groups
from relaxeq.errors import ShapeError
from relaxeq.layers import polyphase

pytestmark = pytest.mark.usefixtures("float64")
PHASES = list(itertools.product(range(2), repeat=2))


def chosen(x):
    """The phase (i, j) of one datum (c, H, W) with the largest |value|, and its pixels."""
    largest, best = -1.0, (0, 0)
    for i, j in PHASES:
        for value in x[:, i::2, j::2].flatten().tolist():
            if abs(value) > largest:
                largest, best = abs(value), (i, j)
    i, j = best
    return best, x[:, i::2, j::2]


@pytest.mark.parametrize("size", [(2, 2), (4, 4), (2, 6), (8, 4)])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_datum_keeps_its_own_phase(size, channels):
    x = torch.randn(20, channels, *size)
    y = polyphase(x)
    assert y.shape == (20, channels, size[0] // 2, size[1] // 2)
    for n in range(20):
        assert torch.equal(y[n], chosen(x[n])[1])
    assert {chosen(datum)[0] for datum in x} == set(PHASES)


def test_neighbours_in_the_batch_do_not_matter():
    """The maximum is taken per datum: a loud neighbour changes nothing."""
    x = torch.randn(5, 2, 4, 4)
    alone = torch.cat([polyphase(datum[None]) for datum in x])
    loud = torch.cat([x, 1e6 * torch.randn(3, 2, 4, 4)])
    assert torch.equal(polyphase(x), alone)
    assert torch.equal(polyphase(loud)[:5], alone)
    assert torch.equal(polyphase(x.flip(0)), alone.flip(0))


def test_signs_do_not_matter():
    """l∞ of |x|: the largest value in size, positive or negative."""
    x = torch.randn(20, 2, 4, 4)
    torch.testing.assert_close(polyphase(-x), -polyphase(x))


def test_one_phase_for_all_channels():
    """The loudest channel decides for the others."""
    x = torch.zeros(1, 2, 2, 2)
    x[0, 0] = torch.tensor([[3.0, 1.0], [1.0, 1.0]])
    x[0, 1] = torch.tensor([[2.0, 1.0], [1.0, -9.0]])
    assert polyphase(x).flatten().tolist() == [1.0, -9.0]


def test_equal_maxima_go_to_the_first_phase():
    x = torch.ones(1, 1, 4, 4)
    x[0, 0, 1, 1], x[0, 0, 2, 3] = 5.0, -5.0  # phases (1, 1) and (0, 1)
    assert torch.equal(polyphase(x), x[:, :, 0::2, 1::2])


@pytest.mark.parametrize("size", [(4, 4), (6, 2)])
def test_shifts_become_floor_or_ceil(size):
    """A shift by d moves phase i to (i + d) mod 2, and its pixels by ⌊(i + d)/2⌋."""
    x = torch.randn(8, 2, *size)
    seen = set()
    for dy, dx in itertools.product(range(-size[0], size[0] + 1), range(-3, 4)):
        moved = polyphase(torch.roll(x, (dy, dx), (2, 3)))
        for n in range(len(x)):
            (i, j), kept = chosen(x[n])
            shift = ((i + dy) // 2, (j + dx) // 2)
            assert torch.equal(moved[n], torch.roll(kept, shift, (1, 2)))
            seen.add((shift[0] - dy / 2, shift[1] - dx / 2))
    assert seen == set(itertools.product((-0.5, 0.0, 0.5), repeat=2))


@pytest.mark.parametrize("name", ["C4", "D4"])
@pytest.mark.parametrize("size", [2, 4, 6])
def test_turns_and_flips_carry_over(name, size):
    """The centre of the coarse grid is the centre of the fine one, whatever the phase."""
    group = groups.semidirect(groups.Z2(), groups.point_group(name))
    fine, coarse = Field(group, 2, (size, size)), Field(group, 2, (size // 2, size // 2))
    x = fine.random(10)
    for point in group.point_group.elements:
        a = group.element(point=point)
        assert torch.equal(polyphase(fine.act(a, x)), coarse.act(a, polyphase(x)))


def test_gradients_reach_the_chosen_phase_alone():
    x = torch.randn(4, 2, 4, 4, requires_grad=True)
    weights = torch.randn(4, 2, 2, 2)
    (polyphase(x) * weights).sum().backward()
    for n in range(4):
        (i, j), _ = chosen(x[n].detach())
        truth = torch.zeros(2, 4, 4)
        truth[:, i::2, j::2] = weights[n]
        assert torch.equal(x.grad[n], truth)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_dtype_follows(dtype):
    x = torch.randn(2, 3, 4, 4).to(dtype)
    assert polyphase(x).dtype == dtype
    assert np.array_equal(polyphase(x).float(), polyphase(x.float()))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(1, 2, 5, 4), r"odd grid \(5, 4\), which no phase halves: pad"),
        (torch.zeros(2, 4, 4), r"x must have shape \(batch, channels, H, W\), got \(2, 4, 4\)"),
        (None, "x must have shape .* got None"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_inputs(x, message):
    with pytest.raises(ShapeError, match=message):
        polyphase(x)
