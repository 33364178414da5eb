"""Made data have the symmetry that they are said to have, and no more."""

import pytest
import torch

from relaxeq.data.symmetric import SymmetricTask
from relaxeq.errors import DataError
from relaxeq.groups import PlanarElement

KEPT = {"none": [], "Z2": [0], "p2": [0, 2], "p4": [0, 1, 2, 3], "p4m": list(range(8))}
"""Numbers k + 4f of the turns R^k F^f that commute with the map, together with all shifts."""


def error(task: SymmetricTask, element: PlanarElement) -> float:
    """|W a·x − a·W x| relative to |W x|."""
    layer, field = task.truth(seed=1).double(), task.field
    x = field.random(20, torch.Generator().manual_seed(0), torch.float64)
    with torch.no_grad():
        moved = field.act(element, layer(x))
        return float((layer(field.act(element, x)) - moved).norm() / moved.norm())


@pytest.mark.parametrize("symmetry", KEPT)
def test_the_map_commutes_with_its_own_group_and_with_nothing_else(symmetry: str) -> None:
    task = SymmetricTask(symmetry, 4, 10, 10)
    group = task.field.group
    for number, turn in enumerate(group.point_group.elements):
        for shift in ((0, 0), (1, 0), (2, 3)):
            found = error(task, group.element(shift=shift, point=turn))
            if number in KEPT[symmetry] or (number == 0 and shift == (0, 0)):
                assert found < 1e-6  # the weights are float32
            else:
                assert found > 0.3


@pytest.mark.parametrize("symmetry", KEPT)
def test_outputs_are_the_map_of_the_inputs_and_standard_noise(symmetry: str) -> None:
    task = SymmetricTask(symmetry, 4, 600, 50)
    sets = task.load(seed=2)
    x, y = sets.train.tensors
    with torch.no_grad():
        signal = task.truth(seed=2)(x).flatten(1)
    assert (x.shape, y.shape) == ((600, 8, 4, 4), (600, 128))
    assert float(signal.square().mean()) == pytest.approx(1, abs=0.1)
    noise = y - signal
    assert float(noise.std()) == pytest.approx(1, abs=0.02)
    assert abs(float(noise.mean())) < 0.02
    assert abs(float((noise * signal).mean())) < 0.02
    assert (sets.outputs, sets.channels, sets.size) == (128, 8, (4, 4))


def test_a_seed_fixes_the_data_and_parts_differ() -> None:
    task = SymmetricTask("p4", 4, 30, 30)
    first = task.load(3)
    state = torch.get_rng_state()
    again = SymmetricTask("p4", 4, 30, 31).load(3)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.train.tensors[1], again.train.tensors[1])
    assert not torch.equal(first.train.tensors[0], first.test.tensors[0])
    assert not torch.equal(first.train.tensors[0], task.load(4).train.tensors[0])


def test_an_unknown_symmetry_is_refused() -> None:
    with pytest.raises(DataError, match="symmetry='p6' must be one of none, Z2, p2, p4, p4m"):
        SymmetricTask("p6")
