"""The whole demo on a handful of digits: its files, its resuming, its errors."""

import io
import json
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from matplotlib import image
from rich.console import Console

from relaxeq.demo import TOY, run_demo
from relaxeq.errors import CheckpointError, RelaxeqError, SpecError
from relaxeq.recipe.checkpoint import RunFolder
from relaxeq.report import read_report
from relaxeq.study import Training, read_outcome, train_cell
from relaxeq.tables import Preset, Results

TINY = Preset(("digits",), 16, 0.1, 40, 20, Training(3, lr=0.005, burn_in=1, update_every=1))
CELLS = {cell.name: cell for cell in TOY.cells(TINY)}
ONE = CELLS["f-fc+conv_digit_laplace_seed0"]
SHORT = replace(ONE, training=replace(ONE.training, epochs=1))


def run_here(
    work: Callable[..., object], arguments: Sequence[tuple[object, ...]], *_: object
) -> None:
    for given in arguments:
        work(*given)


def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs") / "demo"


@pytest.fixture(scope="module")
def results(out: Path) -> Results:
    return run_demo(TINY, out, jobs=2, console=quiet())


def test_it_trains_all_and_returns_them(results: Results) -> None:
    keys = [(cell.row, cell.column, cell.objective) for cell in CELLS.values()]
    assert [entry.key for entry in results.entries] == keys
    for entry in results.entries:
        assert entry.report.objective == entry.objective
        assert entry.report.count == 40
        assert {row.path for row in entry.report.rows} == set(entry.row.split("+"))
    sizes = [results.parameters("CONV", task) for task in results.columns]
    assert sizes[1] - sizes[0] == 30 * 65


def test_it_leaves_tables_and_a_picture(results: Results, out: Path) -> None:
    names = {path.name for path in out.iterdir()} - set(CELLS)
    tables = {f"table{number}.{ending}" for number in (1, 4) for ending in ("txt", "md", "json")}
    assert names == tables | {"demo.png"}
    learned = json.loads((out / "table4.json").read_text())
    assert len(learned) == 2
    assert all(name.startswith("f-fc+conv_") and "_laplace_" in name for name in learned)
    for name, values in learned.items():
        assert f"## {name}\n" in (out / "table4.md").read_text()
        assert f"{name}\n" in (out / "table4.txt").read_text()
        assert len(values["rows"]) == 14
    height, width, _ = image.imread(out / "demo.png").shape
    assert height > 600
    assert width > 1200


def test_every_run_leaves_epochs_checkpoint_and_report(results: Results, out: Path) -> None:
    for cell, entry in zip(CELLS.values(), results.entries, strict=True):
        folder = out / cell.name
        lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
        assert [line["epoch"] for line in lines] == [1, 2, 3]
        assert entry.seconds == round(sum(line["seconds"] for line in lines), 1)
        assert replace(read_report(folder / "report.json"), others=()) == entry.report
        assert RunFolder(folder).load() is not None


def test_a_second_call_reads_what_is_there(results: Results, out: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in out.glob("*_*/*")}
    console = quiet()
    assert run_demo(TINY, out, jobs=1, console=console) == results
    assert {path: path.stat().st_mtime_ns for path in out.glob("*_*/*")} == before
    assert console.file.getvalue().startswith("0 trainings")  # type: ignore[attr-defined]


def test_other_settings_in_the_same_folder_are_refused(results: Results, out: Path) -> None:
    other = replace(TINY, training=replace(TINY.training, epochs=4, lr=0.5))
    with pytest.raises(CheckpointError, match=r"epochs=3 and not 4, lr=0.005 and not 0.5: cho"):
        run_demo(other, out, console=quiet())


def test_a_process_trains_to_the_same_numbers_as_this_one(
    results: Results, out: Path, tmp_path: Path
) -> None:
    train_cell(ONE, tmp_path)
    assert read_report(tmp_path / "report.json") == read_report(out / ONE.name / "report.json")


def test_a_stopped_run_continues_to_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_cell(ONE, tmp_path / "whole")
    save, saved = RunFolder.save, []

    def stop(self: RunFolder, *arguments: object) -> None:
        save(self, *arguments)  # type: ignore[arg-type]
        saved.append(arguments)
        if len(saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(RunFolder, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        train_cell(ONE, tmp_path / "stopped")
    assert not (tmp_path / "stopped" / "report.json").exists()
    train_cell(ONE, tmp_path / "stopped")
    assert len(saved) == 3  # epochs 1 and 2, then 3
    reports = [read_report(tmp_path / name / "report.json") for name in ("whole", "stopped")]
    assert reports[0] == reports[1]


def test_other_seeds_are_other_runs(tmp_path: Path) -> None:
    cells = [replace(SHORT, seed=seed) for seed in (0, 1)]
    for cell in cells:
        train_cell(cell, tmp_path / cell.name)
    evidence = {read_report(tmp_path / cell.name / "report.json").evidence for cell in cells}
    assert len(evidence) == 2


def test_training_leaves_the_random_numbers_outside_alone(tmp_path: Path) -> None:
    state = torch.get_rng_state()
    train_cell(SHORT, tmp_path)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_damaged_history_is_told(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_text("{")
    with pytest.raises(CheckpointError, match="history.jsonl is damaged"):
        read_outcome(ONE, tmp_path)


def test_no_process_is_no_way_to_train(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="jobs=0 must be at least 1"):
        run_demo(TINY, tmp_path, jobs=0)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        run_demo(TINY, tmp_path / "file" / "demo", console=quiet())


def test_errors_of_a_training_arrive_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relaxeq.study.running.run_all", run_here)
    folder = tmp_path / ONE.name
    folder.mkdir()
    (folder / "checkpoint.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="damaged checkpoint"):
        run_demo(TINY, tmp_path, jobs=1, console=quiet())


def test_a_process_that_dies_is_told_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise BrokenProcessPool

    monkeypatch.setattr("relaxeq.study.running.run_all", die)
    with pytest.raises(RelaxeqError, match="ended from outside, .* jobs=1; finished runs stay"):
        run_demo(TINY, tmp_path, jobs=1, console=quiet())
