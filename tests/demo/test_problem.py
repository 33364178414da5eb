"""What the demo trains, and on which data."""

import itertools
from dataclasses import replace

import pytest
import torch

from relaxeq.data import ToyTask, toy_task
from relaxeq.demo import PRESETS, TOY
from relaxeq.errors import DataError

DEMO = PRESETS["demo"]


def test_the_main_job_is_every_model_objective_and_task_once() -> None:
    cells = TOY.cells(DEMO)
    wanted = itertools.product(
        ["F-FC", "CONV", "F-FC+CONV"], ["digit", "digit+quadrant"], ["map", "laplace"], [0]
    )
    assert len(cells) == 12
    assert {(cell.row, cell.column, cell.objective, cell.seed) for cell in cells} == set(wanted)
    names = [cell.name for cell in TOY.cells(replace(DEMO, seeds=(0, 1, 2)))]
    assert len(set(names)) == 36
    assert "f-fc+conv_digit+quadrant_laplace_seed2" in names


def test_networks_are_as_wide_as_the_tables_say() -> None:
    widths = {name: {net.alpha for net in TOY.rows(PRESETS[name]).values()} for name in PRESETS}
    assert widths == {"demo": {4}, "long": {4}, "quick": {1}}
    assert replace(PRESETS["long"], training=DEMO.training) == DEMO


@pytest.mark.parametrize(("task", "outputs"), [("digit", 10), ("digit+quadrant", 40)])
def test_its_data_are_those_of_toy_task(task: str, outputs: int) -> None:
    columns = TOY.columns(DEMO)
    sets = columns[task].load(3)
    for part, wanted in zip((sets.train, sets.test), toy_task(task, seed=3), strict=True):
        assert part is not None
        for found, truth in zip(part.tensors, wanted.tensors, strict=True):
            assert torch.equal(found, truth)
    assert (sets.outputs, sets.channels, sets.size) == (outputs, 1, (16, 16))
    assert (sets.train.tensors[0] == sets.black[0]).float().mean() > 0.8
    assert columns[task].describe() == f"1,500 to train and 297 to test on, UCI digits, {task}"


def test_a_toy_task_gives_all_it_has_or_says_how_many_there_are() -> None:
    whole = ToyTask("digit").load()
    assert whole.test is not None
    assert (len(whole.train), len(whole.test)) == (1500, 297)
    assert len(ToyTask("digit", 30, 20).load().train) == 30
    with pytest.raises(DataError, match="together at most 1797, not 1790 and 297"):
        ToyTask("digit", 1790).load()
    with pytest.raises(DataError, match="task must be 'digit' or 'digit.quadrant', not 'x'"):
        ToyTask("x").load()
