"""What the presets stand for, and the paper's own settings and counts."""

from dataclasses import replace

import pytest

from relaxeq.data import ImageTask, InQuadrant, Rotated, Sets, Translated
from relaxeq.errors import SpecError
from relaxeq.evidence import Adam
from relaxeq.study import Paper
from relaxeq.tables import TABLES, Preset
from relaxeq.tables.preset import paper


@pytest.fixture
def colour() -> Sets:
    """What PaperNet is told of CIFAR-10."""
    import torch
    from torch.utils.data import TensorDataset

    data = TensorDataset(torch.zeros(1, 3, 32, 32), torch.zeros(1).long())
    return Sets(data, data, 10, (0.0,) * 3)


@pytest.mark.parametrize("name", TABLES)
def test_every_table_has_three_presets_and_cells_of_their_own(name: str) -> None:
    table = TABLES[name]
    assert list(table.presets) == ["smoke", "cpu", "paper"]
    for preset in table.presets.values():
        names = [cell.name for cell in table.cells(preset)]
        assert len(set(names)) == len(names)
        rows, columns = table.rows(preset), table.columns(preset)
        count = len(rows) * len(columns) * len(table.objectives) * len(preset.seeds)
        assert len(names) == count
    with pytest.raises(SpecError, match="preset='large' must be one of smoke, cpu, paper"):
        table.preset("large")


def test_the_paper_trains_as_app_f6_says() -> None:
    both = paper("mnist", "cifar10")
    found = {name: both.training_on(ImageTask(name)) for name in both.data}
    assert (found["mnist"].epochs, found["mnist"].augment) == (1000, False)
    assert (found["cifar10"].epochs, found["cifar10"].augment) == (4000, True)
    for training in found.values():
        assert (training.lr, training.batch) == (0.01, 128)
        assert (training.burn_in, training.update_every) == (10, 5)
        assert isinstance(training.update, Adam)
        assert training.update.lr == 0.1
    assert (both.size, both.scale, both.train, both.test) == (32, 1.0, None, None)


def test_table_3_has_the_papers_five_data_sets() -> None:
    columns = TABLES["3"].columns(TABLES["3"].preset("paper"))
    assert list(columns) == [
        "mnist",
        "translated mnist",
        "rotated mnist",
        "cifar10",
        "rotated cifar10",
    ]
    assert columns["translated mnist"].transforms[1:] == (Translated(8),)  # type: ignore[attr-defined]
    assert columns["rotated cifar10"].transforms[1:] == (Rotated(),)  # type: ignore[attr-defined]
    trainings = {
        cell.column: cell.training for cell in TABLES["3"].cells(TABLES["3"].preset("paper"))
    }
    assert [trainings[column].augment for column in columns] == [False] * 3 + [True] * 2


def test_table_1_places_digits_in_quadrants_of_32() -> None:
    columns = TABLES["1"].columns(TABLES["1"].preset("paper"))
    tasks = [columns[name] for name in ("digit", "digit+quadrant")]
    assert [task.transforms for task in tasks] == [  # type: ignore[attr-defined]
        (InQuadrant(name, (32, 32)),) for name in ("digit", "digit+quadrant")
    ]


def test_the_networks_of_table_7_have_the_papers_counts(colour: Sets) -> None:
    counts = {
        name: sum(p.numel() for p in network.build(colour).parameters())
        for name, network in TABLES["7"].rows(TABLES["7"].preset("paper")).items()
    }
    assert counts == {
        "full": 1_025_380,
        "separable": 214_550,
        "depthwise": 139_725,  # the paper prints 139,735
        "full, matched": 371_200,
        "separable, matched": 358_463,
        "depthwise, matched": 346_215,
        "pointwise": 338_770,
        "classical": 338_770,
    }


def test_table_2_has_eleven_rows_of_the_papers_width() -> None:
    rows = TABLES["2"].rows(TABLES["2"].preset("paper"))
    assert len(rows) == 11
    assert set(rows) == {key[0] for key in TABLES["2"].printed}
    assert rows["S-FC, ω"] == Paper("S-FC", 10, prior="lengthscales")
    assert rows["S-FC+S-CONV, u"] == Paper("S-FC+S-CONV", 10, prior="anchors")


@pytest.mark.parametrize(("scale", "alpha"), [(1.0, 10), (0.3, 3), (0.04, 1)])
def test_widths_scale(scale: float, alpha: int) -> None:
    preset = replace(TABLES["1"].preset("cpu"), scale=scale)
    assert preset.alpha(10) == alpha


def test_seeds_and_data_come_once() -> None:
    preset: Preset = TABLES["1"].preset("smoke")
    for change in ({"seeds": ()}, {"seeds": (1, 1)}, {"data": ("digits", "digits")}):
        with pytest.raises(SpecError, match="must hold one or more values, each once"):
            replace(preset, **change)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match=r"seeds=\(-1,\) must not be negative"):
        replace(preset, seeds=(-1,))


def test_a_record_tells_apart_what_figures_depend_on() -> None:
    preset = TABLES["1"].preset("smoke")
    assert replace(preset, seeds=(5,), root="there", device="cuda").record() == preset.record()
    assert replace(preset, scale=0.2).record() != preset.record()
    trained = replace(preset, training=replace(preset.training, lr=0.3))
    assert trained.record() != preset.record()


def test_a_record_says_how_many_digits_were_used() -> None:
    for name in ("1", "2", "3", "4", "7"):
        for preset in TABLES[name].presets.values():
            given = replace(preset, data=("digits",))
            task = given.images("digits")
            used = {"train": task.train, "test": task.test}
            assert {key: given.record()[key] for key in used} == used
    both = replace(TABLES["3"].preset("cpu"), data=("mnist", "digits"))
    assert both.record()["train"] == both.train


def test_the_digits_that_ship_are_enough_for_every_preset() -> None:
    for name in ("1", "2", "3", "4", "7"):
        for preset in TABLES[name].presets.values():
            given = replace(preset, data=("digits",), root="elsewhere")
            for task in TABLES[name].columns(given).values():
                assert task.load().train.tensors[0].shape[2:] == (preset.size, preset.size)
