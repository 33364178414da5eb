"""Records: the command as a reader would type it, and facts beside values in two files."""

import datetime
import json
import sys
import time

import pytest
import torch

from relaxeq.errors import CheckpointError
from relaxeq.report import markdown_table, record, run_facts, save_record


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["experiments/a.py", "--seeds", "2"], "python experiments/a.py --seeds 2"),
        (["/usr/bin/relaxeq", "demo", "a b"], "relaxeq demo 'a b'"),
    ],
)
def test_the_command(argv, command, monkeypatch):
    monkeypatch.setattr(sys, "argv", argv)
    assert run_facts("digits", {})["command"] == command


def test_a_script_is_named_from_here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "experiments" / "a.py")])
    assert run_facts("digits", {})["command"] == "python experiments/a.py"


def test_facts(monkeypatch):
    monkeypatch.setattr(record, "START", time.monotonic() - 90)
    facts = run_facts("digits", {"seeds": [0, 1]})
    today = datetime.datetime.now(datetime.timezone.utc).date()
    assert abs(datetime.date.fromisoformat(facts["date"]) - today) <= datetime.timedelta(1)
    assert facts["torch"] == torch.__version__
    assert facts["threads"] == torch.get_num_threads()
    assert facts["minutes"] == 1.5


def test_both_files_hold_facts_and_values(tmp_path):
    facts = {"data": "digits", "settings": {"seeds": [0, 1], "inner": {"lr": 0.1}}}
    table = markdown_table(["a"], [["1"]])
    page = save_record(tmp_path / "new" / "study", "A study", facts, table, {"a": [1]})
    assert json.loads((tmp_path / "new" / "study.json").read_text("utf-8")) == facts | {"a": [1]}
    assert (tmp_path / "new" / "study.md").read_text("utf-8") == page
    assert page == (
        "# A study\n\n- data: digits\n- settings: seeds 0 1, inner lr 0.1\n\n" + table + "\n"
    )


def test_values_that_json_lacks_are_refused(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_record(tmp_path / "study", "A study", {}, "", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_record(tmp_path / "file" / "study", "A study", {}, "", {})
