"""relaxeq check: tables, JSON, exit codes, and messages for what cannot be checked."""

import json
import warnings
from pathlib import Path

import pytest

from relaxeq.cli.app import run_function
from relaxeq.cli.check import check

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # notes on optional packages, and on torch.jit
    import escnn.nn  # noqa: F401  (the checked file imports it too)

NETWORKS = '''
"""Networks to check, with an import from beside this file."""

import torch
from torch import nn

import relaxeq as rq
from helper import SIZE

P4 = rq.groups.planar("p4")
IMAGE = rq.Field(P4, 2, (SIZE, SIZE), rep="trivial")
HIDDEN = rq.Field(P4, 2, (SIZE, SIZE))


class Good(nn.Module):
    def __init__(self):
        super().__init__()
        self.lift = rq.RelaxedLayer(IMAGE, HIDDEN, "GCONV")
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(2, 3)

    def forward(self, x):
        y = self.drop(self.lift(x).relu())
        return self.head(y.unflatten(1, (2, 4)).amax((2, 3, 4)))


class Bad(Good):
    def __init__(self):
        super().__init__()
        self.mix = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        return self.head(self.mix(self.lift(x)).unflatten(1, (2, 4)).mean((2, 3, 4)))


def shifts():
    return nn.Sequential(nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular"), nn.ReLU())


layer = rq.RelaxedLayer(HIDDEN, HIDDEN, "GCONV")
halved = rq.RelaxedLayer(IMAGE, HIDDEN.resized((SIZE // 2, SIZE // 2)), "GCONV", stride=2)
pool = nn.MaxPool2d(2)


class Argued(nn.Module):
    def __init__(self, width):
        super().__init__()


def number():
    return 3
'''

ESCNN = """
from escnn import gspaces
from escnn import nn as enn

space = gspaces.rot2dOnR2(4)
scalar = enn.FieldType(space, [space.trivial_repr] * 2)
regular = enn.FieldType(space, [space.regular_repr] * 2)


def steered():
    return enn.R2Conv(scalar, regular, 3, padding=1, padding_mode="circular")


def padded():
    return enn.SequentialModule(steered(), enn.R2Conv(regular, scalar, 3, padding=1))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "helper.py").write_text("SIZE = 6\n", encoding="utf-8")
    (tmp_path / "broken.py").write_text("1 / 0\n", encoding="utf-8")
    (tmp_path / "steerable.py").write_text(ESCNN, encoding="utf-8")
    path = tmp_path / "networks.py"
    path.write_text(NETWORKS, encoding="utf-8")
    return path


def run(file: Path, name: str, *options: str) -> int:
    with pytest.raises(SystemExit) as left:
        run_function(check, [f"{file}:{name}", "--size", "6", "--channels", "2", *options])
    return int(str(left.value.code))


Capture = pytest.CaptureFixture[str]


def test_an_equivariant_network_passes(file: Path, capsys: Capture) -> None:
    assert run(file, "Good", "--group", "p4") == 0
    shown = capsys.readouterr().out
    assert "networks.py:Good under Z2 ⋊ p4 on 6×6" in shown
    assert "shift (1, 0)" in shown
    assert "turn r" in shown
    assert "lift" in shown
    assert "Good (invariant)" in shown
    assert "Good is equivariant within 1e-10." in shown
    assert "✗" not in shown


def test_a_fault_is_shown_and_named(file: Path, capsys: Capture) -> None:
    assert run(file, "Bad", "--group", "p4") == 1
    shown = capsys.readouterr().out
    marked = next(line for line in shown.splitlines() if "mix ←" in line)
    assert marked.count("✗") == 4  # two shifts, the turn, the worst
    assert "✗" not in next(line for line in shown.splitlines() if " lift " in line)
    flat = " ".join(shown.split())
    assert "First module at fault: 'mix' (Conv2d" in flat
    assert "write padding_mode='circular'." in flat


def test_json(file: Path, capsys: Capture) -> None:
    assert run(file, "Bad", "--group", "p4", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["equivariant"] is False
    assert found["fault"] == "mix"
    assert found["group"] == "Z2 ⋊ p4"
    assert found["size"] == [6, 6]
    assert found["output"] == "invariant"
    assert found["tolerance"] == 1e-10
    assert found["worst"]["error"] == max(found["whole"]["errors"].values()) > 1e-3
    errors = {layer["name"]: max(layer["errors"].values()) for layer in found["layers"]}
    assert errors["lift"] < 1e-10 < errors["mix"]
    assert {"(shift=(1, 0), point=e)", "(shift=(0, 0), point=r)"} < set(found["whole"]["errors"])


@pytest.mark.parametrize(
    ("name", "options", "code", "output"),
    [
        ("shifts", (), 0, "trivial"),
        ("shifts", ("--group", "p4"), 1, None),
        ("layer", ("--group", "p4", "--rep", "regular"), 0, "regular"),
        ("layer", ("--group", "p4", "--rep", "regular", "--out", "trivial"), 1, "trivial"),
        ("layer", ("--group", "p4", "--rep", "regular", "--dtype", "float32"), 0, "regular"),
        ("layer", ("--rep", "regular", "--channels", "8"), 0, "trivial"),
        ("halved", ("--group", "p4"), 0, "regular"),
        ("pool", (), 1, "trivial"),
        ("pool", ("--tolerance", "10"), 0, "trivial"),
        ("Good", ("--group", "p4", "--out", "invariant", "--seed", "5"), 0, "invariant"),
    ],
)
def test_options(
    file: Path, capsys: Capture, name: str, options: tuple[str, ...], code: int, output: str | None
) -> None:
    assert run(file, name, *options, "--json") == code
    found = json.loads(capsys.readouterr().out)
    assert found["equivariant"] is (code == 0)
    assert output in (None, found["output"])


def test_escnn_modules(file: Path, capsys: Capture) -> None:
    steerable = file.with_name("steerable.py")
    single = ("--group", "p4", "--dtype", "float32")  # escnn shares its bases, in one dtype
    assert run(steerable, "steered", *single) == 0
    assert "R2Conv (escnn type)" in capsys.readouterr().out
    assert run(steerable, "padded", *single) == 1
    assert "First module at fault: '1' (R2Conv" in " ".join(capsys.readouterr().out.split())


REFUSED = {
    "no name": ("networks.py", "", (), "must name a file and what is in it: write module.py:Net"),
    "no file": ("missing.py", "Net", (), "is no file"),
    "not python": ("networks.txt", "Net", (), "must name a file"),
    "nothing there": ("networks.py", "Missing", (), "holds no 'Missing'"),
    "broken": ("broken.py", "Net", (), "fails: ZeroDivisionError: division by zero"),
    "argued": ("networks.py", "Argued", (), "Argued() fails: TypeError"),
    "number": ("networks.py", "number", (), "number() is a int, no torch.nn.Module"),
    "group": ("networks.py", "Good", ("--group", "p5m"), "'p5m' is no point group"),
    "approximate": ("networks.py", "pool", ("--group", "C8"), "does not map a 6×6 torus to itself"),
    "size": ("networks.py", "Good", ("--size", "6by6"), "--size 6by6 must be one number or two"),
    "rep": ("networks.py", "Good", ("--rep", "odd"), "--rep odd must be one of trivial, regular"),
    "out": ("networks.py", "Good", ("--out", "odd"), "--out odd must be one of auto, invariant"),
    "dtype": ("networks.py", "Good", ("--dtype", "int8"), "--dtype int8 must be one of float64"),
    "no grid": ("networks.py", "Good", ("--out", "regular"), "the output has shape (4, 3)"),
    "channels": (
        "networks.py",
        "shifts",
        ("--group", "p4m", "--out", "regular"),
        "4 channels are no multiple of |H| = 8",
    ),
    "options": (
        "networks.py",
        "shifts",
        ("--channels", "3"),
        "the network fails on an input of shape (4, 3, 6, 6): Given groups=1",
    ),
    "tolerance": (
        "networks.py",
        "Good",
        ("--tolerance=-1",),
        "tolerance=-1.0 must be a relative error such as 1e-10.",
    ),
    "shape": (
        "networks.py",
        "layer",
        ("--group", "p4"),
        "got (4, 2, 6, 6). Give it --channels, --size and --rep that it takes.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_checked_is_refused(file: Path, capsys: Capture, case: str) -> None:
    name, target, options, message = REFUSED[case]
    assert run(file.with_name(name), target, *options) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Error: ")
    assert message in captured.err
