"""Actions against explicit loops, numpy's own turns and escnn's transform."""

import math
import warnings
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor

import relaxeq as rq
from relaxeq import groups
from relaxeq.errors import GroupError, SpecError
from relaxeq.testing import Invariant, OnGrid, OnVectors, OwnFrames, Typed, Vectors
from relaxeq.testing.actions import action_of, within
from relaxeq.testing.comparison import landings, moved, relative_error

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # notes on optional packages, and on torch.jit
    from escnn import gspaces
    from escnn import nn as enn

LATTICE = ["p1", "p2", "p4", "pm", "pmm", "p4m"]
ESCNN: dict[str, Callable[[], gspaces.GSpace]] = {
    "p2": lambda: gspaces.rot2dOnR2(2),
    "p4": lambda: gspaces.rot2dOnR2(4),
    "pm": gspaces.flip2dOnR2,
    "pmm": lambda: gspaces.flipRot2dOnR2(2),
    "p4m": lambda: gspaces.flipRot2dOnR2(4),
}


def lifted(group: groups.PlanarGroup, x: Tensor) -> Tensor:
    """y[c·|H| + k] = R_k x[c], each sheet moved by the group element k about the centre."""
    image = rq.Field(group, x.shape[1], tuple(x.shape[2:]), rep="trivial")
    sheets = [image.act(group.element(point=h), x) for h in group.point_group.elements]
    return torch.stack(sheets, 2).flatten(1, 2)


@pytest.mark.parametrize("name", LATTICE)
def test_own_frames_move_as_rotated_copies_do(name: str, float64: torch.dtype) -> None:
    group = groups.planar(name)
    x = torch.randn(2, 3, 4, 4)
    image = rq.Field(group, 3, (4, 4), rep="trivial")
    for point in group.point_group.elements:
        for shift in ((0, 0), (1, 0), (2, 3)):
            a = group.element(shift, point)
            found = OwnFrames(group).act(a, lifted(group, x))
            assert torch.equal(found, lifted(group, image.act(a, x)))


def test_own_frames_of_quarter_turns_are_rot90() -> None:
    x = torch.randn(1, 2, 3, 3)
    by_hand = torch.stack([torch.rot90(x, k, (-2, -1)) for k in range(4)], 2).flatten(1, 2)
    assert torch.equal(lifted(groups.planar("p4"), x), by_hand)


@pytest.mark.parametrize("name", LATTICE)
@pytest.mark.parametrize("rep", ["regular", "trivial"])
def test_on_grid_is_the_action_of_fields_of_any_size(name: str, rep: str) -> None:
    group = groups.planar(name)
    for size in ((1, 1), (2, 2), (5, 5)):
        field = rq.Field(group, 2, size, rep=rep)
        x = field.random(2)
        for a in group.elements(size):
            assert torch.equal(action_of(field).act(a, x), field.act(a, x))


def test_an_element_of_a_subgroup_moves_features_of_the_group() -> None:
    big, small = groups.planar("p4m"), groups.planar("p2")
    field = rq.Field(big, 2, (4, 4))
    x = field.random(2)
    half_turn = next(h for h in big.point_group.elements if h.index == 2)
    a = small.element((1, 3), small.point_group.elements[1])
    expected = field.act(big.element((1, 3), half_turn), x)
    assert torch.equal(OnGrid(big, "regular").act(a, x), expected)
    with pytest.raises(GroupError, match="not in Z2 ⋊ p2, whose features"):
        within(small, big.element(point=big.point_group.elements[1]))


@pytest.mark.parametrize("name", ESCNN)
def test_typed_is_escnns_own_transform(name: str) -> None:
    group, space = groups.planar(name), ESCNN[name]()
    irreps = [space.irrep(*psi.id) for psi in space.fibergroup.irreps()]
    kind = enn.FieldType(space, [space.regular_repr, space.trivial_repr, *irreps])
    x = torch.randn(2, kind.size, 5, 5)
    for ours, theirs in zip(group.point_group.elements, space.fibergroup.elements, strict=True):
        found = Typed(kind).act(group.element(point=ours), x)
        expected = kind(x).transform(theirs).tensor
        assert torch.allclose(found, expected, atol=1e-5)


def test_typed_refuses_turns_that_the_type_does_not_know() -> None:
    space = gspaces.rot2dOnR2(4)
    kind = enn.FieldType(space, [space.regular_repr])
    flip = groups.planar("p4m").element(point=4)
    with pytest.raises(GroupError, match="test with a group inside it"):
        Typed(kind).act(flip, torch.randn(1, 4, 3, 3))


def test_vectors_are_moved_by_the_matrices() -> None:
    s3 = groups.symmetric(3)
    rho = s3.regular + 2 * s3.trivial
    space = Vectors(rho, channels=3)
    x = space.random(4, dtype=torch.float64)
    action = action_of(space)
    assert action == OnVectors(rho)
    assert x.shape == (4, 24)
    for g in s3.elements:
        expected = torch.empty_like(x)
        for n in range(4):
            for c in range(3):
                piece = x[n, 8 * c : 8 * c + 8].numpy()
                expected[n, 8 * c : 8 * c + 8] = torch.from_numpy(rho(g) @ piece)
        assert torch.allclose(action.act(g, x), expected, atol=1e-12)


def test_actions_refuse_what_they_cannot_move() -> None:
    with pytest.raises(SpecError, match="must be a relaxeq.Field"):
        action_of("regular")
    with pytest.raises(GroupError, match="does not act on grids"):
        OnGrid(groups.planar("p4"), "regular").act(
            groups.cyclic(4).identity, torch.randn(1, 4, 3, 3)
        )


def test_a_turn_needs_a_square_grid() -> None:
    turn = groups.planar("p4").element(point=1)
    with pytest.raises(GroupError, match=r"does not map features of shape \(1, 1, 2, 3\) to them"):
        OnGrid(groups.planar("p4"), "trivial").act(turn, torch.randn(1, 1, 2, 3))


def test_regular_fields_of_approximate_groups_move_under_their_exact_part() -> None:
    big, small = groups.planar("C8"), groups.planar("p4")
    x = torch.randn(2, 8, 3, 3)
    found = OnGrid(big, "regular").act(small.element((1, 0), 1), x)
    turned = torch.roll(torch.rot90(x, 1, (-2, -1)), 1, -2)
    expected = torch.stack([turned[:, (k - 2) % 8] for k in range(8)], 1)
    assert torch.equal(found, expected)


def test_every_second_datum_is_moved() -> None:
    field = rq.Field(groups.Z2(), 1, (3, 3))
    x = field.random(5)
    a = field.group.element((1, 0))
    for turn in range(4):
        y = moved(action_of(field), a, x, turn)
        chosen, left = (slice((turn + k) % 2, None, 2) for k in (1, 0))
        assert torch.equal(y[left], x[left])
        assert torch.equal(y[chosen], torch.roll(x[chosen], 1, 2))
        assert torch.equal(moved(action_of(field), a, x[:1], turn), torch.roll(x[:1], 1, 2))


@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_a_kept_phase_lands_where_landings_say(ratio: int) -> None:
    """A phase x[..., i::r, j::r] of a moved grid is the landing of a phase of the grid."""
    group = groups.planar("p4m")
    field = rq.Field(group, 1, (12, 12), rep="trivial")
    coarse = field.resized((12 // ratio, 12 // ratio))
    x = field.random(1)
    scale = (Fraction(1, ratio), Fraction(1, ratio))
    phases = [(i, j) for i in range(ratio) for j in range(ratio)]
    for a in [group.element(s, h) for h in range(8) for s in ((0, 0), (1, 0), (5, -7), (2, 4))]:
        y = field.act(a, x)
        lands = landings(a, scale)
        assert len(lands) <= 4
        for i, j in phases:
            kept = x[..., i::ratio, j::ratio]
            arrivals = [y[..., u::ratio, v::ratio] for u, v in phases]
            moves = [coarse.act(b, kept) for b in lands]
            assert any(torch.equal(m, arrival) for m in moves for arrival in arrivals)


def test_relative_error_by_hand() -> None:
    field = rq.Field(groups.Z2(), 1, (2, 2))
    a, one = field.group.element((1, 0)), (Fraction(1), Fraction(1))
    before = torch.tensor([[[[1.0, 0], [0, 0]]], [[[0, 0], [0, 4]]]])
    found = torch.tensor([[[[1.0, 0], [0, 0]]], [[[0, 3], [0, 0]]]])
    act = action_of(field)
    assert relative_error(act, a, one, found, before, 0) == 0.25
    found[0, 0, 0, 1] = 2.0  # the datum that was left alone changed
    assert relative_error(act, a, one, found, before, 0) == 0.5
    assert relative_error(act, a, one, torch.zeros(2, 1, 2, 2), torch.zeros(2, 1, 2, 2), 0) == 0.0
    assert relative_error(act, a, one, before, torch.zeros(2, 1, 2, 2), 0) == math.inf
    found[1] = torch.nan
    assert relative_error(act, a, one, found, before, 0) == math.inf


def test_the_second_turn_by_hand() -> None:
    field = rq.Field(groups.Z2(), 1, (1, 2))
    a, one = field.group.element((0, 1)), (Fraction(1), Fraction(1))
    before = torch.tensor([[[[1.0, 0]]], [[[0, 4]]], [[[2, 0]]]])
    found = torch.tensor([[[[0.0, 1]]], [[[0, 4]]], [[[0, 2]]]])
    assert relative_error(action_of(field), a, one, found, before, 1) == 0.0
    assert relative_error(action_of(field), a, one, found, before, 0) == 1.0
    assert relative_error(action_of(field), a, one, found[:1], before[:1], 0) == 0.0


def test_phases_are_chosen_per_datum_and_axis() -> None:
    """Two data whose output moved by different admissible shifts are both accepted."""
    group = groups.Z2()
    field = rq.Field(group, 1, (4, 4))
    before = field.random(4)
    found = before.clone()
    found[3] = torch.roll(before[3], 1, 1)
    scale = (Fraction(1, 2), Fraction(1, 2))
    assert relative_error(action_of(field), group.element((1, 0)), scale, found, before, 0) == 0.0
    assert relative_error(action_of(field), group.element((2, 0)), scale, found, before, 0) > 0.1
    found[2] = torch.roll(before[2], 1, 1)  # a datum that was not moved
    assert relative_error(action_of(field), group.element((1, 0)), scale, found, before, 0) > 0.1


def test_invariant_moves_nothing() -> None:
    x = torch.randn(2, 3)
    assert Invariant().act(groups.Z2().element((1, 1)), x) is x
    assert np.array_equal(str(Invariant()), "invariant")
