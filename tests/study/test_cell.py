"""Cells of tables: trained in a folder, continued there, and never taken for another."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from relaxeq.data import AugmentedLoader, Fitted, ImageTask, TensorLoader
from relaxeq.errors import CheckpointError, GroupError, SpecError
from relaxeq.evidence import MacKay
from relaxeq.recipe import Loaders
from relaxeq.recipe.checkpoint import LOCK, RunFolder
from relaxeq.recipe.optimizer import ProximalAdam
from relaxeq.report import read_report
from relaxeq.study import (
    Cell,
    Paper,
    Training,
    check_cell,
    fit_cell,
    read_outcome,
    read_settings,
    train_cell,
)

TASK = ImageTask("digits", (Fitted((8, 8)),), 40, 20)
SHORT = Training(3, burn_in=1, update_every=1, batch=20)
CELL = Cell("F-FC+CONV", "digits", Paper("F-FC+CONV", 1), TASK, SHORT, "laplace", 1)


def test_a_network_is_the_papers_for_the_data() -> None:
    sets = TASK.load()
    net = Paper("GCONV", 2, "p4", "full").build(sets)
    assert (net.image.channels, net.image.size, net.head.out_features) == (1, (8, 8), 10)
    assert net.layers[0].filters == "full"
    assert net.layers[0].target.group.point_group.order == 4
    assert net.layers[0].target.channels == 2
    sparse = Paper("S-CONV", 1, prior="lengthscales").build(sets)
    assert sparse.layers[0].prior == "lengthscales"
    with pytest.raises(GroupError):
        Paper("CONV", 1, "p5").build(sets)


def test_wider_networks_and_more_paths_cost_more() -> None:
    small, wide = Paper("CONV", 1).cost, Paper("CONV", 4).cost
    assert small < wide < Paper("F-FC+CONV", 4).cost < Paper("F-FC+CONV", 4, "p4").cost


def test_training_is_app_f6_unless_told() -> None:
    options = Training().options(seed=5)
    assert (options.lr, options.burn_in, options.update_every) == (0.01, 10, 5)
    assert (options.update.lr, options.seed, options.progress) == (0.1, 5, False)  # type: ignore[attr-defined]
    assert Training(update=MacKay()).options(0).update == MacKay()
    assert json.dumps(Training(update=MacKay()).record())
    with pytest.raises(SpecError, match="epochs=0 must be at least 1"):
        Training(0)


def test_augmentation_is_for_updates_alone() -> None:
    sets = TASK.load()
    plain, test = Training().loaders(sets, 3)
    assert isinstance(plain, TensorLoader)
    loaders, same_test = Training(augment=True).loaders(sets, 3)
    assert isinstance(loaders, Loaders)
    assert isinstance(loaders.updates, AugmentedLoader)
    for found, wanted in ((loaders.evidence, plain), (same_test, test)):
        for batch, other in zip(found, wanted, strict=True):
            assert torch.equal(batch[0], other[0])
    augmented = torch.cat([x for x, _ in loaders.updates])
    clean = torch.cat([x for x, _ in plain])
    assert float(augmented.min()) == pytest.approx(float(clean.min()))  # what enters is black
    assert not torch.equal(augmented, clean)


def test_a_cell_leaves_report_history_and_settings(tmp_path: Path) -> None:
    state = torch.get_rng_state()
    train_cell(CELL, tmp_path)
    assert torch.equal(torch.get_rng_state(), state)
    report = read_report(tmp_path / "report.json")
    assert (report.objective, report.count, report.epochs) == ("laplace", 40, 3)
    assert {row.path for row in report.rows} == {"F-FC", "CONV"}
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 3
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "<title>F-FC+CONV, digits, laplace</title>" in page
    for shown in (TASK.describe(), "burn_in", "Log evidence"):
        assert shown in page


def test_without_a_folder_a_cell_gives_the_same_numbers(tmp_path: Path) -> None:
    train_cell(CELL, tmp_path)
    result = fit_cell(CELL)
    assert result.evidence == read_report(tmp_path / "report.json").evidence
    assert fit_cell(replace(CELL, seed=2)).evidence != result.evidence


def test_the_seed_alone_draws_the_weights() -> None:
    state = torch.get_rng_state()
    one, same, other = (cell.build(TASK.load()) for cell in (CELL, CELL, replace(CELL, seed=2)))
    assert torch.equal(torch.get_rng_state(), state)
    weights = [torch.nn.utils.parameters_to_vector(net.parameters()) for net in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_stopped_cell_continues_to_the_same_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = replace(CELL, training=replace(SHORT, augment=True))
    train_cell(cell, tmp_path / "whole")
    save = RunFolder.save

    def stop(self: RunFolder, *arguments: object) -> None:
        save(self, *arguments)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(RunFolder, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        train_cell(cell, tmp_path / "stopped")
    monkeypatch.setattr(RunFolder, "save", save)
    train_cell(cell, tmp_path / "stopped")
    reports = [read_report(tmp_path / name / "report.json") for name in ("whole", "stopped")]
    assert reports[0] == reports[1]


@pytest.mark.parametrize(
    "other",
    [
        replace(CELL, seed=2),
        replace(CELL, training=replace(SHORT, lr=0.5)),
        replace(CELL, task=replace(TASK, test=10)),
        replace(CELL, network=Paper("F-FC+CONV", 2)),
        replace(CELL, objective="map"),
    ],
)
def test_a_folder_of_another_cell_is_refused(tmp_path: Path, other: Cell) -> None:
    train_cell(replace(CELL, training=replace(SHORT, epochs=1)), tmp_path)
    with pytest.raises(CheckpointError, match="holds runs with other settings"):
        train_cell(replace(other, training=replace(other.training, epochs=1)), tmp_path)


def test_a_moved_data_set_is_the_same_cell() -> None:
    moved = replace(CELL, task=replace(TASK, root="elsewhere"))
    assert moved.settings == CELL.settings


def test_names_are_folders() -> None:
    cell = replace(CELL, row="S-FC, ω", column="Z2 ⋊ C4/x")
    assert cell.name == "s-fc,-ω_z2-c4-x_laplace_seed1"
    job = cell.job(Path("out"))
    assert job.folder == Path("out") / cell.name
    assert job.cost > replace(cell, objective="map").job(Path("out")).cost


def test_a_failed_start_claims_no_folder(tmp_path: Path) -> None:
    wrong = replace(CELL, network=Paper("F-FC+CNV", 1))
    with pytest.raises(SpecError, match="'CNV' is not a path"):
        train_cell(wrong, tmp_path)
    assert not list(tmp_path.iterdir())
    train_cell(CELL, tmp_path)
    with pytest.raises(CheckpointError, match="holds runs with other settings"):
        train_cell(wrong, tmp_path)
    assert read_report(tmp_path / "report.json").epochs == SHORT.epochs


def test_a_run_that_is_stopped_in_its_first_epoch_claims_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: object) -> None:
        assert {file.name for file in tmp_path.iterdir()} == {LOCK, "settings.json"}
        raise KeyboardInterrupt

    monkeypatch.setattr(ProximalAdam, "step", stop)
    with pytest.raises(KeyboardInterrupt):
        train_cell(CELL, tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_was_trained_before_an_error_keeps_its_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = RunFolder.save

    def stop_after_one(self: RunFolder, *arguments: object) -> None:
        save(self, *arguments)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(RunFolder, "save", stop_after_one)
    with pytest.raises(KeyboardInterrupt):
        train_cell(CELL, tmp_path)
    with pytest.raises(CheckpointError, match="holds runs with other settings"):
        train_cell(replace(CELL, seed=2), tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", None], ids=repr)
def test_damaged_settings_are_no_other_settings(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "settings.json"
    file.mkdir() if content is None else file.write_bytes(content)
    for read in (lambda: check_cell(CELL, tmp_path), lambda: read_settings(tmp_path)):
        with pytest.raises(CheckpointError, match=r"settings.json' is damaged \(.*trained .*stays"):
            read()


@pytest.mark.parametrize("line", ["[]", "3", "{}", '{"seconds": "long"}'])
def test_a_damaged_history_is_told(tmp_path: Path, line: str) -> None:
    (tmp_path / "history.jsonl").write_text(line)
    with pytest.raises(CheckpointError, match="history.jsonl is damaged"):
        read_outcome(CELL, tmp_path)


@pytest.mark.parametrize("seed", [-1, 1 << 63])
def test_seeds_are_those_that_torch_takes(seed: int) -> None:
    with pytest.raises(SpecError, match=f"seed={seed} must be from 0 to 9223372036854775807"):
        replace(CELL, seed=seed)
