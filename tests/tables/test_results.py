"""Results over seeds and runs: means, merging, and the record that keeps them."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from relaxeq.errors import CheckpointError
from relaxeq.study import ACCURACY, EVIDENCE
from relaxeq.tables import TABLES, Block, Entry, Results, page, read_blocks, save_block
from relaxeq.tables.results import entry_from

Make = Callable[..., Entry]
KEY = ("F-FC+CONV", "digit", "laplace")
RUN = {"command": "relaxeq table 1", "date": "2026-01-02", "torch": "2.0", "seeds": [0], "cells": 1}


def block(results: Results, preset: str = "cpu", **settings: object) -> Block:
    return Block(
        preset, ("digit: some",), {"size": 16, "training": {"lr": 0.1} | settings}, (RUN,), results
    )


def test_means_and_deviations_are_over_seeds(make: Make) -> None:
    results = Results(
        tuple(make(KEY, 0.9 + 0.01 * s, evidence=-1.0 * s, seed=s) for s in (2, 0, 1))
    )
    figure = results.figure(ACCURACY, KEY)
    assert figure is not None
    assert (figure.mean, figure.std) == (pytest.approx(91), pytest.approx(1))
    assert results.mean(EVIDENCE, KEY) == pytest.approx(-1)
    assert [entry.seed for entry in results.cell(KEY)] == [0, 1, 2]
    assert results.figure(ACCURACY, ("FC", "digit", "map")) is None


def test_shares_are_per_layer(make: Make) -> None:
    results = Results((make(KEY, shares=(0.1, 0.4)), make(KEY, shares=(0.3, 0.4), seed=1)))
    figures = results.shares(KEY, "F-FC")
    assert [figure.mean for figure in figures] == pytest.approx([0.2, 0.4])
    assert [figure.std for figure in figures] == pytest.approx([0.1 * math.sqrt(2), 0])
    assert results.paths(KEY) == ("F-FC", "CONV")
    assert results.learned() == (KEY,)


def test_only_networks_that_could_choose_have_learned(make: Make) -> None:
    map_one = make((KEY[0], KEY[1], "map"))
    alone = make(("CONV", "digit", "laplace"))
    assert Results((map_one, alone)).learned() == ()


def test_newer_entries_replace_those_of_the_same_cell_and_seed(make: Make) -> None:
    old = Results((make(KEY, 0.5), make(KEY, 0.6, seed=1)))
    merged = old.merged([make(KEY, 0.9, seed=1), make(KEY, 0.8, seed=2)])
    assert [entry.report.test_accuracy for entry in merged.cell(KEY)] == [0.5, 0.9, 0.8]
    assert merged.rows == ("F-FC+CONV",)


def test_a_table_in_part_gets_the_order_of_the_whole(make: Make) -> None:
    keys = [("FC", "digit", "map"), ("CONV", "digit", "map"), KEY]
    part = Results((make(KEY), make(keys[1]), make(("S-FC", "digit", "map"))))
    merged = part.merged([make(key) for key in keys])
    assert merged.rows == ("FC", "CONV", "F-FC+CONV", "S-FC")


def test_an_entry_survives_json(make: Make) -> None:
    entry = make(KEY, accuracy=None)
    off = replace(entry.report.rows[0], precision=math.inf)
    entry = replace(entry, report=replace(entry.report, rows=(off, *entry.report.rows[1:])))
    assert entry_from(json.loads(json.dumps(entry.record(), allow_nan=False))) == entry


def test_blocks_of_the_same_settings_merge_and_others_stand_beside(
    make: Make, tmp_path: Path
) -> None:
    table = TABLES["1"]
    save_block(table, block(Results((make(KEY, 0.5),))), tmp_path)
    save_block(table, block(Results((make(KEY, 0.7, seed=1),))), tmp_path)
    found = save_block(table, block(Results((make(KEY, 0.9),)), lr=0.2), tmp_path)
    assert [entry.report.test_accuracy for entry in found.results.entries] == [0.9]
    newest, first = read_blocks(tmp_path / "table1.json")
    assert newest == found
    assert [entry.report.test_accuracy for entry in first.results.cell(KEY)] == [0.5, 0.7]
    assert len(first.runs) == 1  # the same command on the same day
    values = json.loads((tmp_path / "table1.json").read_text("utf-8"))
    assert [claim["holds"] for claim in values["blocks"][0]["claims"]] == []
    assert (tmp_path / "table1.md").read_text("utf-8") == page(table, (newest, first))


@pytest.mark.parametrize("content", ["{", "[]", '{"blocks": [{"preset": "cpu"}]}'])
def test_a_damaged_record_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "table1.json").write_text(content)
    with pytest.raises(CheckpointError, match="holds no results of a table .*: restore it, or"):
        read_blocks(tmp_path / "table1.json")


def test_no_record_is_no_blocks(tmp_path: Path) -> None:
    assert read_blocks(tmp_path / "table1.json") == ()


def test_the_page_has_the_papers_figures_shares_layers_and_claims(make: Make) -> None:
    entries = [
        make(key, 0.9, 0.25, seed=seed)
        for seed in (0, 1)
        for key in (("FC", "digit", "map"), ("FC", "digit", "laplace"), KEY)
    ]
    text = page(TABLES["1"], (block(Results(tuple(entries))),))
    assert "# Table 1: symmetry that fits the task\n\n## Preset cpu: digit\n" in text
    assert "- data: digit: some\n- settings: size 16, lr 0.1\n- seeds: 0, 1; 6 minutes" in text
    assert "- 2026-01-02: `relaxeq table 1`, torch 2.0" in text
    for paper in ("95.73", "97.04"):
        assert f"| 0.250 ± 0.000 | 90.0 ± 0.0 ({paper}) |" in text
    assert "| digit | F-FC+CONV | F-FC 24 (1–90), CONV 76 (10–99) |" in text
    assert "| 3 | 90.0 ± 0.0 | 10.0 ± 0.0 | 4 | 4 |" in text
    assert "- [ ] Laplace beats MAP in NLL in 0 of 1 rows, not in FC on digit" in text


def test_regressions_have_no_accuracy(make: Make) -> None:
    text = page(TABLES["groups"], (block(Results((make(KEY, accuracy=None),))),))
    assert "acc." not in text
    assert "Laplace log ev." in text
