"""relaxeq table: what it asks for, prints, and refuses."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from relaxeq.cli import table as command
from relaxeq.tables import TABLES, Block, Preset, Results, Table

Call = Callable[..., tuple[int, str, str]]
Asked = list[tuple[Table, str, Preset, Path, Path, int]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What run_table was called with, in the place of training."""
    calls: Asked = []

    def fake(table: Table, name: str, preset: Preset, out: Path, results: Path, jobs: int) -> Block:
        calls.append((table, name, preset, out, results, jobs))
        return Block(name, ("some data",), preset.record(), (), Results(()))

    monkeypatch.setattr(command, "run_table", fake)
    return calls


def test_options_become_settings(call: Call, asked: Asked) -> None:
    options = (
        "--data",
        "mnist,cifar10",
        "--root",
        "there",
        "--seeds",
        "0,2",
        "--jobs",
        "5",
        "--device",
        "cuda",
    )
    code, out, err = call(
        "table", "3", "--preset", "smoke", *options, "--out", "o", "--results", "r"
    )
    assert (code, err) == (0, "")
    assert TABLES["3"].title in out
    ((table, name, preset, folder, results, jobs),) = asked
    assert (table, name, jobs) == (TABLES["3"], "smoke", 5)
    assert (folder, results) == (Path("o/table3/smoke_mnist_cifar10"), Path("r"))
    assert (preset.data, preset.root, preset.seeds) == (("mnist", "cifar10"), "there", (0, 2))
    assert preset.device == "cuda"
    assert preset.training == TABLES["3"].preset("smoke").training


def test_lengths_are_of_every_training_and_have_their_own_folder(call: Call, asked: Asked) -> None:
    assert call("table", "3", "--preset", "paper", "--epochs", "7", "--train", "9")[0] == 0
    ((table, _, preset, folder, *_),) = asked
    before = table.preset("paper")
    assert folder == Path("runs/table3/paper_mnist_cifar10_epochs7_train9")
    assert preset.train == 9
    for source, training in ((name, preset.training_on(preset.task(name))) for name in preset.data):
        assert training == replace(before.training_on(before.task(source)), epochs=7)
    assert replace(before, train=9).resized(epochs=7) == preset


def test_without_options_the_preset_is_cpu_as_it_is(call: Call, asked: Asked) -> None:
    assert call("table", "groups", "--json")[0] == 0
    ((table, name, preset, folder, _, jobs),) = asked
    assert (name, preset, jobs) == ("cpu", table.preset("cpu"), 2)
    assert folder == Path("runs/groups/cpu_made")


def test_json_is_the_record(call: Call, asked: Asked) -> None:
    code, out, _ = call("table", "1", "--json")
    values = json.loads(out)
    assert (code, values["preset"], values["data"], values["entries"]) == (
        0,
        "cpu",
        ["some data"],
        [],
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("5",), "'5' is no table: choose one of 1, 2, 3, 4, 7, groups."),
        (("1", "--preset", "big"), "preset='big' must be one of smoke, cpu, paper."),
        (("1", "--seeds", "a"), "--seeds a must be whole numbers joined by commas, as in 0,1,2."),
        (
            ("1", "--data", "digits", "--train", "99999"),
            "train=99999 must be at most 1500, the digits that there are.",
        ),
        (("1", "--seeds", "1,1"), "seeds=(1, 1) must hold one or more values, each once."),
    ],
)
def test_wrong_usage_exits_with_2(
    call: Call, asked: Asked, arguments: tuple[str, ...], message: str
) -> None:
    assert call("table", *arguments) == (2, "", f"Error: {message}\n")
    assert asked == []


def test_missing_data_are_told(call: Call, tmp_path: Path) -> None:
    code, _, err = call(
        "table", "1", "--data", "mnist", "--root", str(tmp_path), "--out", str(tmp_path / "runs")
    )
    assert code == 2
    assert "MNIST is not in" in err
    assert "put its IDX files into MNIST/raw there" in err


def test_an_interruption_says_that_it_continues(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "run_table", stop)
    code, out, err = call("table", "1")
    assert (code, out) == (130, "")
    assert "Stopped; the same command continues where it was." in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("1", "--data", "digits,mnist"), "data='digits,mnist': this table takes one data set"),
        (("2", "--data", "digits,mnist"), "data='digits,mnist': this table takes one data set"),
        (("7", "--data", "digits,mnist"), "data='digits,mnist': this table takes one data set"),
        (("1", "--data", "digits,"), "data='digits,' must be of digits, mnist, fashion-mnist, ci"),
        (("3", "--data", "digits,svhn"), "data='digits,svhn' must be of digits, mnist, fashion-m"),
        (("groups", "--data", "mnist,nonsense"), "data='mnist,nonsense' must be of made in this"),
        (("groups", "--root", "/nowhere"), "root='/nowhere': made needs no files, leave root out"),
        (("1", "--data", "digits", "--root", "there"), "root='there': digits needs no files"),
    ],
    ids=" ".join,
)
def test_data_that_a_table_does_not_take_are_refused(
    call: Call, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    place = ("--out", str(tmp_path / "runs"), "--results", str(tmp_path / "results"))
    code, out, err = call("table", *arguments, *place)
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "runs").exists()


def test_results_that_cannot_be_written_are_told_before_training(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def trained(*_: object) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr("relaxeq.tables.program.train_table", trained)
    (tmp_path / "file").write_text("")
    place = ("--out", str(tmp_path / "runs"), "--results", str(tmp_path / "file" / "results"))
    code, _, err = call("table", "1", "--preset", "smoke", *place)
    assert code == 2
    assert "cannot be written" in err
