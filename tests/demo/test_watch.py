"""What the display says while runs go on."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from relaxeq.demo import DemoConfig, Outcome, Results, Run
from relaxeq.demo.watch import Watch

CONFIG = DemoConfig(epochs=4, tasks=("digit",), specs=("CONV", "F-FC"), objectives=("map",))


def epochs(folder: Path, count: int) -> None:
    folder.mkdir(exist_ok=True)
    line = json.dumps({"seconds": 0.5}) + "\n"
    (folder / "history.jsonl").write_text(line * count)


def finish(outcome: Outcome, folder: Path) -> None:
    epochs(folder, 4)
    outcome.report.to_json(folder / "report.json")


@pytest.fixture
def folders(tmp_path: Path) -> dict[Run, Path]:
    return {run: tmp_path / run.name for run in CONFIG.runs()}


def watch_of(folders: dict[Run, Path], terminal: bool) -> tuple[Watch, io.StringIO]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=200, color_system=None)
    return Watch(CONFIG, folders, console), out


def test_without_a_terminal_each_finished_run_is_one_line(make, folders) -> None:  # type: ignore[no-untyped-def]
    outcomes = make(config=CONFIG).outcomes
    finish(outcomes[0], folders[outcomes[0].run])
    watch, out = watch_of(folders, terminal=False)
    with watch:
        watch()
        assert out.getvalue() == ""  # finished before: no news
        finish(outcomes[1], folders[outcomes[1].run])
        watch()
        watch()
    (line,) = out.getvalue().splitlines()
    assert line.startswith(outcomes[1].run.name)
    assert line.endswith("2 s")  # four epochs of half a second
    assert "test accuracy  88.0 %" in line


def test_a_terminal_shows_epochs_and_time_left(make, folders) -> None:  # type: ignore[no-untyped-def]
    conv, ffc = folders
    epochs(folders[conv], 1)
    watch, out = watch_of(folders, terminal=True)
    with watch:
        watch()
        epochs(folders[conv], 3)
        watch()
        bars = {task.description: task for task in watch._bars.tasks}
        assert bars[conv.name].completed == 3
        assert bars[conv.name].fields["figures"] == "epoch 3 of 4"
        assert ffc.name not in bars
        whole = bars["all trainings"]
        assert whole.total == CONFIG.cost(conv) + CONFIG.cost(ffc)
        assert whole.completed == pytest.approx(0.75 * CONFIG.cost(conv))
        assert whole.fields["figures"] == "0 of 2"
        for outcome in make(config=CONFIG).outcomes:
            finish(outcome, folders[outcome.run])
        watch()
        assert whole.completed == pytest.approx(whole.total)
        assert whole.fields["figures"] == "2 of 2"
        assert not bars[conv.name].visible
    assert "all trainings" in out.getvalue()


def test_results_are_values(make) -> None:  # type: ignore[no-untyped-def]
    first: Results = make(config=CONFIG)
    assert first == make(config=CONFIG)
    assert first != replace(first, outcomes=first.outcomes[:1])
