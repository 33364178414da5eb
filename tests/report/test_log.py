"""Logs of runs: what a fit returns is what its folder holds."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from relaxeq import Options, fit
from relaxeq.errors import CheckpointError
from relaxeq.report import RunLog, read_log, read_report, summary


def run(folder: Path) -> RunLog:
    x, y = torch.randn(12, 2), torch.arange(12) % 2
    options = Options(burn_in=1, update_every=1, lr=0.25, progress=False)
    result = fit(nn.Linear(2, 2), [(x, y)], [(x, y)], 3, options=options, run_dir=folder)
    report = summary(result)
    report.to_json(folder / "report.json")
    assert read_report(folder / "report.json") == report
    return report.log


def test_a_folder_holds_the_log(tmp_path: Path) -> None:
    log = run(tmp_path)
    found = read_log(tmp_path)
    assert found == log
    assert found.settings["epochs"] == 3
    assert found.settings["options"]["lr"] == 0.25
    assert [row["epoch"] for row in found.history] == [1, 2, 3]
    assert [epoch for epoch, _ in found.series("evidence")] == [2, 3]
    assert all(math.isfinite(value) for _, value in found.series("train_nll"))
    assert found.series("unknown") == ()


def test_rows_that_the_checkpoint_does_not_know_are_left_out(tmp_path: Path) -> None:
    log = run(tmp_path)
    with (tmp_path / "history.jsonl").open("a") as file:
        file.write('{"epoch": 4, "train_nll": 0.0}\n')
    assert read_log(tmp_path) == log


def test_a_folder_without_a_run_has_an_empty_log(tmp_path: Path) -> None:
    assert read_log(tmp_path / "none") == RunLog()


@pytest.mark.parametrize("name", ["history.jsonl", "checkpoint.safetensors"])
def test_a_damaged_run_is_told(tmp_path: Path, name: str) -> None:
    run(tmp_path)
    (tmp_path / name).write_text("x")
    with pytest.raises(CheckpointError, match=r"holds a damaged run \((.|\n)*train again"):
        read_log(tmp_path)


def test_fits_without_a_folder_have_their_log_too() -> None:
    x, y = torch.randn(12, 2), torch.arange(12) % 2
    result = fit(nn.Linear(2, 2), [(x, y)], epochs=1, options=Options(progress=False))
    log = summary(result).log
    assert log.settings["options"]["update"].startswith("Adam(")
    assert (log.settings["objective"], log.settings["count"]) == ("laplace", 12)


@pytest.mark.parametrize("line", ["[]", "3", '{"train_nll": 1.0}', '{"epoch": 1, "test_nll": []}'])
def test_lines_that_are_no_epochs_are_told(tmp_path: Path, line: str) -> None:
    run(tmp_path)
    file = tmp_path / "history.jsonl"
    file.write_text("\n".join([line, *file.read_text().splitlines()[1:]]))
    with pytest.raises(CheckpointError, match="holds a damaged history"):
        read_log(tmp_path)
