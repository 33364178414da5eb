"""relaxeq fit: named data and files, PaperNet and users' networks, run folders and exit codes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from relaxeq.cli import fit as command
from relaxeq.data import Fitted, ImageTask, TensorFile
from relaxeq.evidence import MacKay
from relaxeq.report import read_report
from relaxeq.study import Cell, FromFile, Paper

Call = Callable[..., tuple[int, str, str]]
BRIEF = ("--epochs", "2", "--burn-in", "1", "--update-every", "1")
SHORT = (*BRIEF, "--alpha", "1")

MODULE = """
from torch import nn

def net():
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
"""


def test_papernet_on_digits_leaves_a_run_that_continues(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = ("fit", "F-FC+CONV", *SHORT, "--train", "40", "--test", "20", "--out", str(out))
    code, shown, err = call(*command)
    assert (code, err) == (0, "")
    assert "laplace: log evidence" in shown
    assert "layers.0  F-FC" in shown
    report = read_report(out / "report.json")
    assert (report.count, report.epochs, report.objective) == (40, 2, "laplace")
    history = (out / "history.jsonl").read_text()
    code, again, _ = call(*command, "--json")
    assert (code, json.loads(again)) == (0, json.loads(report.to_json()))
    assert (out / "history.jsonl").read_text() == history
    code, _, err = call(*command, "--lr", "0.5")
    assert code == 2
    assert "holds runs with other settings, lr=0.01 and not 0.5: choose another folder" in err
    assert call("report", str(out))[0] == 0


def test_a_users_network_and_file(call: Call, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODULE)
    draws = np.random.default_rng(0)
    x = draws.standard_normal((50, 4))
    np.savez(tmp_path / "mine.npz", x=x, y=x[:, :2])
    network, data = f"{tmp_path / 'model.py'}:net", str(tmp_path / "mine.npz")
    options = ("--objective", "map", "--out", str(tmp_path / "run"), "--json")
    code, out, err = call("fit", network, "--data", data, *BRIEF, *options)
    assert (code, err) == (0, "")
    values = json.loads(out)
    assert (values["objective"], values["count"], values["rows"]) == ("map", 50, [])
    assert values["test_nll"] is None
    assert [prior["name"] for prior in values["others"]][0] == "0.weight"


def test_options_become_a_cell(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[Cell, Path, bool]] = []

    def fake(cell: Cell, folder: Path, progress: bool, device: str) -> None:
        asked.append((cell, folder, progress))
        assert device == "cpu"
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "train_cell", fake)
    options = ("--group", "p4", "--filters", "full", "--size", "16", "--update", "mackay")
    options += ("--alpha", "3")
    code, _, err = call("fit", "GCONV", *options, "--augment", "--seed", "3", "--test", "50")
    assert code == 130
    assert "the same command continues" in err
    ((cell, folder, progress),) = asked
    assert (folder, progress) == (Path("runs/fit"), True)
    assert cell.network == Paper("GCONV", 3, "p4", "full")
    assert cell.task == ImageTask("digits", (Fitted((16, 16)),), None, 50)
    assert (cell.seed, cell.objective) == (3, "laplace")
    assert (cell.training.augment, cell.training.update) == (True, MacKay())
    call("fit", "CONV")
    assert asked[1][0].task == ImageTask("digits", (Fitted((8, 8)),))
    assert asked[1][0].network == Paper("CONV", 10)
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 2)), y=np.arange(3))
    call("fit", "model.py:Net", "--data", str(tmp_path / "a.npz"))
    assert asked[2][0].network == FromFile("model.py:Net")
    assert asked[2][0].task == TensorFile(str(tmp_path / "a.npz"))
    assert asked[2][0].training.likelihood == "classification"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("CONV", "--data", "svhn"),
            "--data svhn must be one of digits, mnist, fashion-mnist, cif",
        ),
        (("CONV", "--update", "sgd"), "--update sgd must be one of adam, mackay."),
        (("CONVX",), "'CONVX' is not a path"),
        (("nowhere.py:Net",), "'nowhere.py' is no file"),
        (("CONV", "--data", "nowhere.pt"), "nowhere.pt cannot be read"),
        (("CONV", "--device", "tpu9"), "device='tpu9' cannot be used: "),
        (("CONV", "--seed", "99999999999999999999"), "seed=99999999999999999999 must be from 0"),
        (("CONV", "--size", "0"), "Invalid value for '--size'"),
        (("CONV", "--objective", "mle"), "objective='mle' must be 'laplace' or 'map'"),
    ],
)
def test_wrong_usage_exits_with_2(
    call: Call, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = call("fit", *arguments, "--out", str(tmp_path / "run"))
    assert (code, out) == (2, "")
    assert "Error: " in err
    assert "Traceback" not in err
    assert message in err


@pytest.mark.parametrize("option", ["--train", "--test", "--size", "--root"])
def test_a_file_takes_no_options_of_named_data(call: Call, tmp_path: Path, option: str) -> None:
    file = tmp_path / "mine.npz"
    np.savez(file, x=np.zeros((3, 1, 8, 8)), y=np.arange(3))
    code, out, err = call("fit", "CONV", "--data", str(file), option, "5")
    assert (code, out) == (2, "")
    assert err.startswith(f"Error: {option} 5: {file} is taken as it is, leave that out")


@pytest.mark.parametrize(
    "option", [("--alpha", "10"), ("--group", "p4"), ("--filters", "full"), ("--prior", "anchors")]
)
def test_a_network_of_ones_own_takes_no_options_of_papernet(
    call: Call, option: tuple[str, str]
) -> None:
    code, out, err = call("fit", "model.py:Net", *option)
    assert (code, out) == (2, "")
    assert err.startswith(f"Error: {' '.join(option)}: model.py:Net makes its own layers, leave ")


@pytest.mark.parametrize("shape", [(6, 64), (6, 8, 8)])
def test_papernet_wants_images(call: Call, tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.savez(tmp_path / "mine.npz", x=np.zeros(shape), y=np.arange(6))
    place = ("--data", str(tmp_path / "mine.npz"), "--out", str(tmp_path / "run"))
    code, _, err = call("fit", "CONV", *place, *SHORT)
    assert code == 2
    assert f"x must be images (n, channels, height, width) for this network, not {shape}" in err


def test_images_of_a_file_are_augmented(call: Call, tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    np.savez(tmp_path / "mine.npz", x=draws.random((20, 1, 8, 8)), y=np.arange(20) % 3)
    place = ("--data", str(tmp_path / "mine.npz"), "--out", str(tmp_path / "run"))
    code, out, err = call("fit", "CONV", *place, *SHORT, "--augment")
    assert (code, err) == (0, "")
    assert "CONV" in out
