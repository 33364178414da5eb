"""Fields as values: shapes, equality, text, and the errors of bad arguments."""

import copy
import pickle

import numpy as np
import pytest
import torch

from relaxeq import Field, groups
from relaxeq.errors import GroupError, RelaxeqError, ShapeError, SpecError
from relaxeq.paths import Vectors

Z2, P4, P4M = (groups.planar(name) for name in ("Z2", "p4", "p4m"))
HEX = groups.planar("p6")


def test_shapes():
    field = Field(P4, channels=8, size=(32, 32))
    assert (field.orientations, field.depth, field.dim) == (4, 32, 32 * 32 * 32)
    assert field.shape == (32, 32, 32)
    assert field.random(2).shape == (2, 32, 32, 32)
    image = Field(P4, channels=3, size=(32, 32), rep="trivial")
    assert (image.orientations, image.shape) == (1, (3, 32, 32))
    assert field.resized((16, 16)) == Field(P4, 8, (16, 16))
    assert Field(Z2, 2, (3, 5)).shape == (2, 3, 5)


def test_fields_are_values():
    a, b = Field(P4, 2, (4, 4)), Field(groups.semidirect(groups.Z2(), groups.p4()), 2, (4, 4))
    assert a == b
    assert len({a, b, Field(P4, 2, (4, 4), rep="trivial"), Field(P4M, 2, (4, 4))}) == 3
    assert pickle.loads(pickle.dumps(a)) == a == copy.deepcopy(a)
    assert str(a) == "2×regular on 4×4 (Z2 ⋊ p4)"
    with pytest.raises(AttributeError):
        a.channels = 3


@pytest.mark.usefixtures("unchecked")
def test_lists_are_sizes_too():
    field = Field(P4, 2, [4, 4])
    assert field == Field(P4, 2, (4, 4))
    assert hash(field) == hash(Field(P4, 2, (4, 4)))


def test_random_is_repeatable_and_normal():
    field = Field(Z2, 10, (30, 30))
    draws = [field.random(3, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert abs(float(draws[0].mean())) < 0.03
    assert abs(float(draws[0].std()) - 1) < 0.03
    assert field.random(1, dtype=torch.float64).dtype == torch.float64


@pytest.mark.usefixtures("unchecked")
def test_numbers_of_numpy_become_plain():
    field = Field(Z2, np.int64(3), tuple(np.array([4, 5])))
    assert field == Field(Z2, 3, (4, 5))
    assert repr(field) == "Field(group=Z2, channels=3, size=(4, 5), rep='regular')"


FIELDS = {
    "point group": (lambda: Field(groups.p4(), 1, (4, 4)), GroupError, "group=p4 .*semidirect"),
    "text": (lambda: Field("p4", 1, (4, 4)), GroupError, "group='p4' of a field is not a planar"),
    "representation": (lambda: Field(P4, 1, (4, 4), rep="irrep"), SpecError, "rep='irrep'"),
    "no channels": (lambda: Field(P4, 0, (4, 4)), SpecError, "channels=0 .* positive integer"),
    "true channels": (lambda: Field(P4, True, (4, 4)), SpecError, "channels=True .* positive"),
    "half a channel": (lambda: Field(P4, 1.5, (4, 4)), SpecError, "channels=1.5"),
    "one number": (lambda: Field(P4, 1, 4), SpecError, r"size=4 must be two.*\(32, 32\)"),
    "three numbers": (lambda: Field(P4, 1, (4, 4, 4)), SpecError, r"size=\(4, 4, 4\)"),
    "empty grid": (lambda: Field(Z2, 1, (4, 0)), SpecError, r"size=\(4, 0\)"),
    "half a pixel": (lambda: Field(Z2, 1, (4, 4.5)), SpecError, r"size=\(4, 4.5\)"),
    "not square": (lambda: Field(P4, 1, (4, 2)), GroupError, "not square.*square size"),
    "not square, resized": (
        lambda: Field(P4M, 1, (4, 4)).resized((4, 2)),
        GroupError,
        r"size=\(4, 2\) of a field is not square",
    ),
}


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.usefixtures("unchecked")
def test_bad_fields(name):
    build, error, message = FIELDS[name]
    with pytest.raises(error, match=message):
        build()


HIDDEN = Field(P4, 2, (4, 4))
SHIFT = P4.element(shift=(1, 0))
ACTIONS = {
    "channels": (HIDDEN, SHIFT, torch.zeros(1, 2, 4, 4), ShapeError, r"\(batch, 8, 4, 4\) .* got"),
    "grid": (HIDDEN, SHIFT, torch.zeros(1, 8, 4, 5), ShapeError, r"got \(1, 8, 4, 5\)"),
    "no batch": (HIDDEN, SHIFT, torch.zeros(8, 4, 4), ShapeError, r"got \(8, 4, 4\)"),
    "integers": (HIDDEN, SHIFT, torch.zeros(1, 8, 4, 4).long(), ShapeError, r"torch.int64.*float"),
    "complex": (HIDDEN, SHIFT, torch.zeros(1, 8, 4, 4) * 1j, ShapeError, "torch.complex64"),
    "list": (HIDDEN, SHIFT, [[1.0]], ShapeError, "got list"),
    "other group": (
        HIDDEN, Z2.element(shift=(1, 0)), torch.zeros(1, 8, 4, 4), GroupError,
        r"not of this field's group Z2 ⋊ p4: write field.group.element"),
    "point element": (
        HIDDEN, groups.p4().elements[1], torch.zeros(1, 8, 4, 4), GroupError, "element="),
    "no lattice": (
        Field(HEX, 1, (4, 4)), HEX.element(), torch.zeros(1, 6, 4, 4), GroupError,
        "C6 does not map the grid to itself"),
}  # fmt: skip


@pytest.mark.parametrize("name", ACTIONS)
@pytest.mark.usefixtures("unchecked")
def test_bad_actions(name):
    field, element, x, error, message = ACTIONS[name]
    with pytest.raises(error, match=message):
        field.act(element, x)
    assert issubclass(error, RelaxeqError)
    assert issubclass(error, ValueError)


DRAWS = {
    "negative": ((-1,), "batch=-1 must be a number of data"),
    "half": ((2.5,), "batch=2.5 must be"),
    "seed": ((2, 0), r"generator=0 must be a torch.Generator: write torch.Generator\(\)"),
    "integers": ((2, None, torch.int64), "dtype=torch.int64 must be a floating one"),
}


@pytest.mark.parametrize("space", [HIDDEN, Vectors(groups.symmetric(3).regular, 2)], ids=str)
@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.usefixtures("unchecked")
def test_bad_draws(name, space):
    arguments, message = DRAWS[name]
    with pytest.raises(SpecError, match=message):
        space.random(*arguments)
    assert space.random(0).shape == (0, *space.shape)
    assert space.random(np.int64(2)).shape == (2, *space.shape)
