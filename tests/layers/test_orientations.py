"""Lifting and group pooling."""

import pytest
import torch

import relaxeq as rq
from relaxeq import groups
from relaxeq.errors import ShapeError, SpecError

P4M = groups.semidirect(groups.Z2(), groups.p4m())
IMAGE = rq.Field(P4M, 2, (4, 4), rep="trivial")
HIDDEN = rq.Field(P4M, 2, (4, 4))

LAYERS = {
    "lift": lambda: rq.Lift(IMAGE),
    "max": lambda: rq.OrientationPool(HIDDEN),
    "mean": lambda: rq.OrientationPool(HIDDEN, "mean"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_equivariant(name, float64):
    layer = LAYERS[name]()
    x = layer.source.random(2)
    assert layer(x).shape[1:] == layer.target.shape
    for a in P4M.elements((4, 4)):
        torch.testing.assert_close(layer(layer.source.act(a, x)), layer.target.act(a, layer(x)))


def test_values():
    x = HIDDEN.random(3)
    for c in range(2):
        orientations = x[:, 8 * c : 8 * (c + 1)]
        assert torch.equal(rq.OrientationPool(HIDDEN)(x)[:, c], orientations.max(1).values)
        torch.testing.assert_close(
            rq.OrientationPool(HIDDEN, "mean")(x)[:, c], orientations.mean(1)
        )
    image = IMAGE.random(3)
    for k in range(16):
        assert torch.equal(rq.Lift(IMAGE)(image)[:, k], image[:, k // 8])


@pytest.mark.parametrize("reduce", ["max", "mean"])
def test_pooling_undoes_lifting(reduce):
    x = IMAGE.random(2)
    torch.testing.assert_close(rq.OrientationPool(HIDDEN, reduce)(rq.Lift(IMAGE)(x)), x)


def test_without_orientations():
    field = rq.Field(groups.Z2(), 2, (4, 4))
    x = field.random(1)
    assert torch.equal(rq.OrientationPool(field)(x), x)


def test_errors():
    with pytest.raises(SpecError, match="must be a relaxeq.Field with rep='trivial'"):
        rq.Lift(HIDDEN)
    with pytest.raises(SpecError, match="must be a relaxeq.Field with rep='regular'"):
        rq.OrientationPool(IMAGE)
    with pytest.raises(SpecError, match="reduce='sum' must be 'max' or 'mean'"):
        rq.OrientationPool(HIDDEN, "sum")
    with pytest.raises(ShapeError, match=r"x must have shape \(batch, 2, 4, 4\)"):
        rq.Lift(IMAGE)(torch.zeros(1, 3, 4, 4))
