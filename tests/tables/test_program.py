"""Every program once at its smallest, what it leaves, and how it goes on."""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib import image
from rich.console import Console

from relaxeq.errors import CheckpointError, SpecError
from relaxeq.report import plain
from relaxeq.study import Training
from relaxeq.tables import (
    TABLES,
    Block,
    Preset,
    Table,
    read_blocks,
    record_finished,
    run_table,
    terminal,
)
from relaxeq.tables import program as module

TINY = Preset(("digits",), 8, 0.1, 30, 20, Training(1, burn_in=0, update_every=1))


def run_here(
    work: Callable[..., object],
    arguments: Sequence[tuple[object, ...]],
    jobs: int,
    watch: Callable[[], None],
) -> None:
    for given in arguments:
        work(*given)
        watch()


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool is tested in tests/study; starting it takes longer than these trainings."""
    monkeypatch.setattr("relaxeq.study.running.run_all", run_here)


def run(table: Table, preset: Preset, folder: Path) -> tuple[Block, str]:
    console = Console(file=io.StringIO(), width=200)
    block = run_table(table, "smoke", preset, folder / "runs", folder / "results", console=console)
    return block, console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", TABLES)
def test_the_smoke_preset_runs(name: str, tmp_path: Path) -> None:
    table = TABLES[name]
    preset = table.preset("smoke")
    block, lines = run(table, preset, tmp_path)
    cells = table.cells(preset)
    assert len(block.results.entries) == len(cells)
    assert f"{len(cells)} trainings" in lines
    assert read_blocks(tmp_path / "results" / f"{table.stem}.json") == (block,)
    shown = plain(terminal(table, block))
    for column in table.columns(preset):
        assert column in shown
    text = (tmp_path / "results" / f"{table.stem}.md").read_text("utf-8")
    assert all(claim.text in text for claim in table.claims(block.results))
    assert table.claims(block.results)
    picture = table.picture
    assert (picture is not None) == (name == "4")
    if picture is not None:
        assert f"![{picture.caption}]({picture.name})" in text
        assert image.imread(tmp_path / "results" / picture.name).shape[1] > 300


def only(rows: str) -> Table:
    """Table 1 with a single row and task."""
    table = TABLES["1"]
    return replace(
        table,
        rows=lambda preset: {rows: table.rows(preset)[rows]},
        columns=lambda preset: {"digit": replace(preset.task("digits"))},
    )


def test_finished_cells_are_read_and_seeds_are_added(tmp_path: Path) -> None:
    table = only("CONV")
    first, _ = run(table, TINY, tmp_path)
    files = {file: file.stat().st_mtime_ns for file in (tmp_path / "runs").rglob("*")}
    again, lines = run(table, TINY, tmp_path)
    assert lines.startswith("0 trainings")
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "runs").rglob("*")} == files
    assert again.results == first.results
    more, lines = run(table, replace(TINY, seeds=(0, 3)), tmp_path)
    assert "2 trainings" in lines  # by MAP and by Laplace
    assert {entry.seed for entry in more.results.entries} == {0, 3}
    alone, _ = run(table, replace(TINY, seeds=(4,)), tmp_path)
    assert {entry.seed for entry in alone.results.entries} == {0, 3, 4}
    facts = json.loads((tmp_path / "results" / "table1.json").read_text())["blocks"][0]["runs"]
    assert [fact["seeds"] for fact in facts] == [[0], [0, 3], [4]]
    assert {"command", "date", "torch", "seeds", "cells"} == set(facts[0])


def test_a_stopped_table_shows_what_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(
        work: Callable[..., object], arguments: Sequence[tuple[object, ...]], *_: object
    ) -> None:
        work(*arguments[0])
        raise KeyboardInterrupt

    monkeypatch.setattr("relaxeq.study.running.run_all", stop)
    with pytest.raises(KeyboardInterrupt):
        run(only("CONV"), TINY, tmp_path)
    folders = (tmp_path / "runs", tmp_path / "results")
    with pytest.raises(CheckpointError, match="holds no finished run of 'Table 1.*: train"):
        record_finished(only("CONV"), "smoke", TINY, tmp_path / "nowhere", folders[1])
    found = record_finished(only("CONV"), "smoke", TINY, *folders)
    assert [entry.key for entry in found.results.entries] == [("CONV", "digit", "laplace")]
    written = tmp_path / "results" / "table1.md"
    assert "- unfinished: 1 of 2 cells so far\n" in written.read_text("utf-8")
    monkeypatch.setattr("relaxeq.study.running.run_all", run_here)
    whole, lines = run(only("CONV"), TINY, tmp_path)
    assert "1 trainings" in lines
    assert len(whole.results.entries) == whole.cells == 2
    assert "unfinished" not in written.read_text("utf-8")
    assert len(read_blocks(tmp_path / "results" / "table1.json")) == 1


def test_other_settings_in_the_folder_are_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(only("CONV"), TINY, tmp_path)
    monkeypatch.setattr(module, "train_all", pytest.fail)
    with pytest.raises(CheckpointError, match="holds runs with other settings"):
        run(only("CONV"), replace(TINY, train=31), tmp_path)


def test_a_damaged_record_is_told_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "table1.json").write_text("{")
    monkeypatch.setattr(module, "train_all", pytest.fail)
    with pytest.raises(CheckpointError, match="holds no results"):
        run(only("CONV"), TINY, tmp_path)


def test_no_process_is_no_way_to_train(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="jobs=0 must be at least 1 process"):
        run_table(TABLES["1"], "smoke", TINY, tmp_path, tmp_path, jobs=0)
