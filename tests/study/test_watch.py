"""What the display says while runs go on."""

import io
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from relaxeq.report import Report, Row
from relaxeq.study import Job
from relaxeq.study.watch import Watch

ROW = Row(0, "layers.0", "CONV", "Z2", 2.0, 1.0, 3.0, 9, 1 / 3, 1.0, "CONV")
REPORT = Report("map", -0.5, -0.1, 100, 4, 0.2, 0.88, (ROW,), (), ())


@dataclass(frozen=True)
class Named:
    name: str


def epochs(job: Job[Named], count: int) -> None:
    job.folder.mkdir(exist_ok=True)
    line = json.dumps({"seconds": 0.5}) + "\n"
    (job.folder / "history.jsonl").write_text(line * count)


def finish(job: Job[Named]) -> None:
    epochs(job, 4)
    REPORT.to_json(job.folder / "report.json")


@pytest.fixture
def jobs(tmp_path: Path) -> tuple[Job[Named], Job[Named]]:
    return (
        Job(Named("conv"), tmp_path / "conv", 4, 6.0),
        Job(Named("f-fc"), tmp_path / "f-fc", 4, 2.0),
    )


def watch_of(
    jobs: tuple[Job[Named], Job[Named]], terminal: bool
) -> tuple[Watch[Named], io.StringIO]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=200, color_system=None)
    return Watch(jobs, console), out


def test_without_a_terminal_each_finished_run_is_one_line(
    jobs: tuple[Job[Named], Job[Named]],
) -> None:
    finish(jobs[0])
    watch, out = watch_of(jobs, terminal=False)
    with watch:
        watch()
        assert out.getvalue() == ""  # finished before: no news
        finish(jobs[1])
        watch()
        watch()
    (line,) = out.getvalue().splitlines()
    assert line.startswith("f-fc")
    assert line.endswith("2 s")  # four epochs of half a second
    assert "test accuracy  88.0 %" in line


def test_a_terminal_shows_epochs_and_time_left(jobs: tuple[Job[Named], Job[Named]]) -> None:
    conv, ffc = jobs
    epochs(conv, 1)
    watch, out = watch_of(jobs, terminal=True)
    with watch:
        watch()
        epochs(conv, 3)
        watch()
        bars = {task.description: task for task in watch._bars.tasks}
        assert bars["conv"].completed == 3
        assert bars["conv"].fields["figures"] == "epoch 3 of 4"
        assert ffc.run.name not in bars
        whole = bars["all trainings"]
        assert whole.total == 8.0
        assert whole.completed == pytest.approx(0.75 * 6.0)
        assert whole.fields["figures"] == "0 of 2"
        for job in jobs:
            finish(job)
        watch()
        assert whole.completed == pytest.approx(whole.total)
        assert whole.fields["figures"] == "2 of 2"
        assert not bars["conv"].visible
    assert "all trainings" in out.getvalue()
