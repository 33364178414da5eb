"""The command line: what it prints where, and its exit codes."""

import io
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

from relaxeq.cli import run_function
from relaxeq.demo import PRESETS, TOY
from relaxeq.errors import EvidenceWarning, SpecError
from relaxeq.report import Report, Row
from relaxeq.study import Outcome
from relaxeq.tables import Preset, Results, entry_of

ROOT = Path(__file__).parents[2]

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    row = Row(0, "layers.0", "CONV", "Z2", 2.0, 1.0, 3.0, 9, 1 / 3, 1.0, "CONV")
    report = Report("laplace", -0.5, -0.1, 100, 10, 0.2, 0.9, (row,), (), ("Look here.",))
    report.to_json(tmp_path / "runs" / "mine" / "report.json")
    return tmp_path / "runs" / "mine"


def test_no_command_shows_the_commands(call: Call) -> None:
    code, out, err = call()
    assert code == 2
    assert "Usage: relaxeq" in out + err
    assert "Train a network, and print what it learned." in out + err
    assert "..." not in (out + err).replace("[ARGS]...", "")  # each fits in its line
    assert "demo" in out + err


@pytest.mark.parametrize("command", ["demo", "table", "fit", "report", "check"])
def test_help_has_examples(call: Call, command: str) -> None:
    code, out, _ = call(command, "--help")
    assert code == 0
    assert "Examples:\n" in out
    assert f"\n    relaxeq {command} " in out


def test_version(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", {"relaxeq": "1.2.3"}.__getitem__)
    assert call("--version") == (0, "relaxeq 1.2.3\n", "")


def test_version_of_a_checkout(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert call("--version") == (0, "relaxeq (a checkout that is not installed)\n", "")


def test_report_prints_the_table(call: Call, run_dir: Path) -> None:
    code, out, err = call("report", str(run_dir))
    assert (code, err) == (0, "")
    assert "laplace: log evidence -0.5000" in out
    assert "layers.0  CONV" in out
    assert "! Look here." in out
    assert "\x1b" not in out


def test_report_takes_the_file_too_and_prints_json(call: Call, run_dir: Path) -> None:
    code, out, _ = call("report", str(run_dir / "report.json"), "--json")
    assert code == 0
    assert json.loads(out)["rows"][0]["path"] == "CONV"
    assert out == (run_dir / "report.json").read_text("utf-8")


def test_report_draws(call: Call, run_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "layers.svg"
    assert call("report", str(run_dir), "--plot", str(file))[0] == 0
    assert "<svg" in file.read_text("utf-8")


def test_report_writes_a_page(call: Call, run_dir: Path) -> None:
    code, out, err = call("report", str(run_dir), "--html")
    assert code == 0
    assert "layers.0  CONV" in out
    assert err == f"{run_dir / 'report.html'}\n"
    text = (run_dir / "report.html").read_text("utf-8")
    assert "<title>mine</title>" in text
    assert "<dt>data</dt>" not in text
    (run_dir / "report.html").unlink()
    (run_dir / "settings.json").write_text('{"data": "digits, 8×8", "seed": 3}', "utf-8")
    call("report", str(run_dir / "report.json"), "--html")
    text = (run_dir / "report.html").read_text("utf-8")
    assert "<dt>data</dt><dd>digits, 8×8</dd>" in text
    (run_dir / "settings.json").write_text('{"data"', "utf-8")
    code, _, err = call("report", str(run_dir), "--html")
    assert code == 2
    assert "settings.json' is damaged" in err
    assert "delete it to go without" in err


def test_strict_reports_exit_with_1_when_there_are_warnings(call: Call, run_dir: Path) -> None:
    assert call("report", str(run_dir), "--strict")[0] == 1
    values = json.loads((run_dir / "report.json").read_text("utf-8")) | {"warnings": []}
    (run_dir / "report.json").write_text(json.dumps(values))
    assert call("report", str(run_dir), "--strict")[0] == 0


def test_a_folder_of_runs_names_them(call: Call, run_dir: Path) -> None:
    code, out, err = call("report", str(run_dir.parent))
    assert (code, out) == (2, "")
    assert err.startswith(
        f"Error: RUN_DIR='{run_dir.parent}' has no report.json: choose one of its"
    )
    assert err.endswith(f"\n  {run_dir}\n")


def test_a_folder_without_report_says_how_to_make_one(call: Call, tmp_path: Path) -> None:
    code, out, err = call("report", str(tmp_path))
    assert (code, out) == (2, "")
    assert f"write relaxeq.summary(result).to_json('{tmp_path}/report.json')" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "arguments",
    [["demo", "--jobs", "0"], ["demo", "--epochs", "x"], ["report"], ["nonsense"], ["--nonsense"]],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(call: Call, arguments: list[str]) -> None:
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert "Error: " in err


def test_an_unknown_preset_is_refused(call: Call) -> None:
    code, _, err = call("demo", "--preset", "fast")
    assert (code, err) == (2, f"Error: preset='fast' must be one of {', '.join(PRESETS)}.\n")


def test_demo_passes_its_options_on_and_prints_table_1(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Preset, Path, int]] = []

    def fake(preset: Preset, out: Path, jobs: int) -> Results:
        asked.append((preset, out, jobs))
        row = Row(0, "layers.0", "CONV", "Z2", 2.0, 1.0, 3.0, 9, 1 / 3, 1.0, "CONV")
        report = Report("map", -0.5, -0.1, 100, 10, 0.2, 0.9, (row,), (), ())
        outcomes = [Outcome(cell, report, 1.0) for cell in TOY.cells(preset)]
        return Results(tuple(entry_of(outcome) for outcome in outcomes))

    monkeypatch.setattr("relaxeq.cli.demo.run_demo", fake)
    code, out, err = call("demo", "--out", "there", "--seed", "3", "--epochs", "7", "--jobs", "5")
    assert (code, err) == (0, "")
    assert "test accuracy (%)" in out
    code, out, _ = call("demo", "--preset", "quick", "--json")
    values = json.loads(out)
    assert (code, values["seeds"], values["settings"]["train"]) == (0, [0], PRESETS["quick"].train)
    assert asked == [
        (replace(PRESETS["demo"].resized(7), seeds=(3,)), Path("there"), 5),
        (PRESETS["quick"], Path("runs/demo"), 2),
    ]


def test_an_interrupted_demo_ends_at_once_and_says_that_it_continues(tmp_path: Path) -> None:
    # Tests that run in a shell's background inherit an ignored SIGINT.
    heed = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code = heed + "from relaxeq.cli import main\nmain()"
    command = [sys.executable, "-c", code, "demo", "--preset", "quick", "--out", str(tmp_path)]
    with subprocess.Popen(
        [*command, "--epochs", "500"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 400
        while not list(tmp_path.glob("*/checkpoint.safetensors")) and time.monotonic() < deadline:
            time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=200)
    assert (process.returncode, out) == (130, "")
    assert "Stopped; the same command continues where it was." in err
    assert list(tmp_path.glob("*/checkpoint.safetensors"))
    while is_alive(process.pid):  # nobody of its group stays
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_experiments_run_functions_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    def experiment(seeds: int = 5) -> None:
        if seeds < 2:
            raise SpecError(f"seeds={seeds} must be at least 2.")
        print(seeds)

    for arguments, code, out, err in (
        (["--seeds", "3"], 0, "3\n", ""),
        (["--seeds", "1"], 2, "", "Error: seeds=1 must be at least 2.\n"),
    ):
        with pytest.raises(SystemExit) as ended:
            run_function(experiment, arguments)
        assert (ended.value.code, *capsys.readouterr()) == (code, out, err)


def test_warnings_about_the_evidence_come_without_a_line_of_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def experiment() -> None:
        warnings.warn("Train longer.", EvidenceWarning, stacklevel=1)
        warnings.warn("Something else.", UserWarning, stacklevel=1)

    with pytest.warns(UserWarning, match="Something else") as others, pytest.raises(SystemExit):
        run_function(experiment, [])
    assert len(others) == 1
    assert capsys.readouterr().err == "Warning: Train longer.\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_the_terminal_cannot_show_is_replaced(
    monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
    with pytest.raises(SystemExit) as ended:
        run_function(lambda: print("γ of Z2 ⋊ C4", flush=True), [])
    assert ended.value.code == 0
    assert raw.getvalue() == b"? of Z2 ? C4\n"


MODULE = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.paths = nn.ModuleDict({"GCONV[p2]": nn.ReLU(), "GCONV[p4]": nn.ReLU()})

    def forward(self, x):
        return self.paths["GCONV[p2]"](x) + self.paths["GCONV[p4]"](x)
"""


def test_names_in_brackets_are_shown_as_they_are(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "a[red]b.py"
    file.write_text(MODULE)
    code, out, err = call("check", f"{file}:Net", "--size", "4", "--channels", "1")
    assert (code, err) == (0, "")
    assert "a[red]b.py:Net under" in out
    assert "paths.GCONV[p2]" in out
    assert "paths.GCONV[p4]" in out
    code, _, err = call("check", f"{file}:Net", "--seed", "99999999999999999999")
    assert code == 2
    assert "seed=99999999999999999999 must be from 0 to 9223372036854775807." in err
