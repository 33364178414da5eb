"""Reports as values: JSON that reads back, hashes, and files that cannot be written or read."""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from relaxeq.errors import CheckpointError
from relaxeq.recipe import FitResult
from relaxeq.report import Report, read_report, summary, write_text

Build = Callable[..., FitResult]


@pytest.fixture
def report(build: Build) -> Report:
    off = {"layers.0.paths.FC": math.inf, "layers.1.paths.F-FC": 1e16}
    return summary(build([{"FC": 0.0, "CONV": 0.3}, {"F-FC": 0.1}], precisions=off))


def test_headline_figures_are_those_of_the_fit(build: Build) -> None:
    report = summary(build([{"FC": 0.5}], history=[{"epoch": 1, "train_nll": 1.0}] * 3))
    assert (report.objective, report.evidence, report.log_likelihood) == ("laplace", -1.25, -1.0)
    assert (report.count, report.epochs) == (100, 3)
    assert (report.test_nll, report.test_accuracy) == (0.5, 0.875)
    bare = summary(build([{"FC": 0.5}], metrics={}))
    assert (bare.test_nll, bare.test_accuracy) == (None, None)


def test_reports_are_values(build: Build) -> None:
    first, again = (summary(build([{"FC": 0.5}])) for _ in range(2))
    assert first == again
    assert len({first, again}) == 1
    assert first != summary(build([{"FC": 0.4}]))
    assert repr(first) == str(first)


def test_json_reads_back_to_the_same_report(report: Report, tmp_path: Path) -> None:
    file = tmp_path / "new" / "report.json"
    text = report.to_json(file)
    assert file.read_text("utf-8") == text
    assert read_report(file) == report
    assert report.warnings  # they travel too
    assert [path.name for path in file.parent.iterdir()] == ["report.json"]


def test_json_is_standard_and_complete(report: Report) -> None:
    def refuse(constant: str) -> float:
        raise AssertionError(constant)

    values = json.loads(report.to_json(), parse_constant=refuse)
    row = values["rows"][0]
    assert row["precision"] == "inf"
    figures = {"squared_norm", "effective_parameters", "size", "normalised", "share"}
    assert set(row) == {"layer", "name", "path", "symmetry", "precision", "layer_type"} | figures


def test_markdown_is_written(report: Report, tmp_path: Path) -> None:
    file = tmp_path / "report.md"
    assert report.to_markdown(file) == file.read_text("utf-8")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rows": 1}', "\0"])
def test_another_file_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text(text)
    with pytest.raises(CheckpointError, match=r"report.json' holds no report (.|\n)*to_json"):
        read_report(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no report"):
        read_report(tmp_path / "none.json")


def test_a_path_that_cannot_be_written_is_told(report: Report, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="file/report.json' cannot be written: "):
        report.to_json(tmp_path / "file" / "report.json")


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "table.md"
    write_text("old", file)

    def full(self: Path, text: str, *_: object) -> None:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        write_text("new", file)
    assert file.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["table.md"]


@pytest.mark.parametrize("path", [".", "", "/"])
def test_a_folder_is_no_place_for_a_report(report: Report, path: str) -> None:
    for write in (report.to_json, report.to_markdown, report.to_html):
        with pytest.raises(CheckpointError, match=f"path='{path}' cannot be written: "):
            write(path)


def test_what_a_link_names_is_written(tmp_path: Path) -> None:
    target, link = tmp_path / "old.md", tmp_path / "link.md"
    target.write_text("old")
    link.symlink_to(target)
    write_text("new", link)
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_pipe_is_written_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_text("through", pipe)
        assert os.read(end, 100) == b"through"
    finally:
        os.close(end)
    assert pipe.is_fifo()


@pytest.mark.parametrize(
    ("name", "value"),
    [("evidence", "high"), ("count", None), ("objective", 3), ("test_nll", [1])],
)
def test_wrong_types_are_refused(report: Report, tmp_path: Path, name: str, value: object) -> None:
    file = tmp_path / "report.json"
    file.write_text(json.dumps(report.record() | {name: value}))
    with pytest.raises(CheckpointError, match=rf"holds no report \({name} is "):
        read_report(file)


def test_wrong_types_in_rows_are_refused(report: Report, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    values = report.record()
    values["rows"][0]["share"] = "most"
    file.write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match="share is 'most'"):
        read_report(file)
