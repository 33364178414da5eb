"""Run folders: nothing but tensors and JSON, each file whole or not at all."""

import errno
import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from relaxeq.errors import CheckpointError
from relaxeq.recipe import FitResult, Options, checkpoint
from relaxeq.recipe.checkpoint import (
    LINES,
    TENSORS,
    Checkpoint,
    RunFolder,
    decode,
    encode,
    read_run,
)
from relaxeq.recipe.optimizer import ProximalAdam

Pair = tuple[Tensor, Tensor]
MakeOptions = Callable[..., Options]
FILES = {TENSORS, LINES}


def value() -> Checkpoint:
    network = {"a": torch.randn(2, 3), "flag": torch.tensor(True), "none": torch.zeros(0, 4)}
    optimizer = {"step/a": torch.tensor(3.0), "exp_avg/a": torch.randn(2, 3).double().mT}
    return Checkpoint(network, optimizer, {"epoch": 2, "precisions": {"a": 0.1}})


def rows(count: int) -> list[dict[str, Any]]:
    return [{"epoch": epoch + 1, "train_nll": 0.1 * epoch} for epoch in range(count)]


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    folder, given = RunFolder(tmp_path / "deep" / "run"), value()
    assert folder.load() is None
    folder.save(given, rows(2))
    loaded = folder.load()
    assert loaded is not None
    found, history = loaded
    assert found.state == given.state
    assert history == rows(2)
    for part in ("network", "optimizer"):
        kept, back = getattr(given, part), getattr(found, part)
        assert set(back) == set(kept)
        assert all(torch.equal(back[name], kept[name]) for name in kept)
        assert all(back[name].dtype == kept[name].dtype for name in kept)
    assert {file.name for file in folder.path.iterdir()} == FILES


def test_rows_beyond_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.save(value(), rows(3))
    loaded = folder.load()
    assert loaded is not None
    assert loaded[1] == rows(2)


def test_precisions_travel_as_json() -> None:
    given = {"a": float("inf"), "b": 1e-8, "c": 0.1 + 0.2}
    assert decode(json.loads(json.dumps(encode(given), allow_nan=False))) == given


def test_files_are_tensors_and_json_and_nothing_is_pickled(
    run: Callable[..., FitResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("pickled")

    for owner, name in ((pickle, "dump"), (pickle, "dumps"), (pickle, "load"), (torch, "save")):
        monkeypatch.setattr(owner, name, refuse)
    first = run(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == FILES
    with safe_open(tmp_path / "checkpoint.safetensors", framework="pt") as opened:
        names = set(opened.keys())
        state = json.loads(opened.metadata()["relaxeq"])
        assert torch.equal(opened.get_tensor("network/weight"), first.net.get_parameter("weight"))
    assert {"network/weight", "network/bias", "optimizer/exp_avg_sq/weight"} <= names
    assert state["epoch"] == 4
    lines = (tmp_path / "history.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(text) for text in lines] == first.history


def full(tensors: dict[str, Tensor], path: Path, *_: object) -> None:
    path.write_bytes(b"half of it")
    raise OSError(errno.ENOSPC, "No space left on device")


def stop_after(count: int, data: Pair) -> Iterator[Pair]:
    class Stop(list[Pair]):
        left = count

        def __iter__(self) -> Iterator[Pair]:
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
            return super().__iter__()

    return Stop([data])  # type: ignore[return-value]


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def interrupted(run: Callable[..., FitResult], folder: Path, data: Pair) -> dict[str, bytes]:
    """What a run leaves that was stopped in its third epoch."""
    with pytest.raises(KeyboardInterrupt):
        run(folder, train_loader=stop_after(3, data), objective="map")
    return contents(folder)


def test_a_full_disk_leaves_the_last_checkpoint_and_the_run_goes_on_from_it(
    run: Callable[..., FitResult], points: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = interrupted(run, tmp_path, points)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", full)
        with pytest.raises(CheckpointError, match=r"No space left.*Free space.*previous") as caught:
            run(tmp_path, objective="map")
    assert str(tmp_path) in str(caught.value)
    after = contents(tmp_path)
    assert set(after) == FILES
    assert after["checkpoint.safetensors"] == before["checkpoint.safetensors"]
    loaded = RunFolder(tmp_path).load()
    assert loaded is not None
    assert [row["epoch"] for row in loaded[1]] == [1, 2]
    finished = run(tmp_path, objective="map")
    whole = run(None, objective="map")
    assert torch.equal(finished.net.get_parameter("weight"), whole.net.get_parameter("weight"))


def test_a_folder_is_that_of_one_run_at_a_time(
    run: Callable[..., FitResult], points: Pair, tmp_path: Path
) -> None:
    class Again(list[Pair]):
        def __iter__(self) -> Iterator[Pair]:
            if (tmp_path / TENSORS).exists() and not told:
                with pytest.raises(CheckpointError, match=r"in use by another run: wait") as caught:
                    run(tmp_path)
                told.append(str(caught.value))
            return super().__iter__()

    told: list[str] = []
    first = run(tmp_path, train_loader=Again([points]))
    assert repr(str(tmp_path)) in told[0]
    assert run(tmp_path).history == first.history


def test_a_file_system_without_locks_is_no_obstacle(
    run: Callable[..., FitResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(lock: FileLock) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    assert len(run(tmp_path).history) == 4


def below_a_file(folder: Path) -> Path:
    (folder / "file").write_text("no folder", "utf-8")
    return folder / "file" / "run"


def occupied(folder: Path) -> Path:
    (folder / "history.jsonl").mkdir(parents=True)
    return folder


@pytest.mark.parametrize("make", [below_a_file, occupied])
def test_a_folder_that_cannot_be_written_is_named(
    make: Callable[[Path], Path], run: Callable[..., FitResult], tmp_path: Path
) -> None:
    path = make(tmp_path)
    with pytest.raises(CheckpointError, match=r"^run_dir='.*' cannot be written: ") as caught:
        run(path)
    assert repr(str(path)) in str(caught.value)


def test_a_folder_that_cannot_be_written_is_told_before_an_epoch(
    run: Callable[..., FitResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**given: object) -> None:
        raise PermissionError(13, "Permission denied", str(given["dir"]))

    monkeypatch.setattr("relaxeq.recipe.checkpoint.TemporaryFile", refuse)
    monkeypatch.setattr(ProximalAdam, "step", lambda *given: pytest.fail("trained"))
    with pytest.raises(CheckpointError, match=r"cannot be written.*another folder\.$"):
        run(tmp_path)


def test_others_may_read_what_the_folder_allows(
    run: Callable[..., FitResult], tmp_path: Path
) -> None:
    run(tmp_path)
    modes = {file.name: file.stat().st_mode for file in tmp_path.iterdir()}
    assert modes["checkpoint.safetensors"] == modes["history.jsonl"]


@pytest.mark.parametrize("read", [lambda run, path: run(path), lambda run, path: read_run(path)])
def test_a_run_that_may_not_be_read_is_not_called_damaged(
    run: Callable[..., FitResult],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    read: Callable[..., object],
) -> None:
    run(tmp_path)
    plain = Path.open

    def refuse(self: Path, *given: Any, **named: Any) -> Any:
        if self.name == "checkpoint.safetensors":
            raise PermissionError(13, "Permission denied", str(self))
        return plain(self, *given, **named)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CheckpointError, match="cannot be read.*Ask for permission") as caught:
        read(run, tmp_path)
    assert "delete" not in str(caught.value)


def without_metadata(folder: Path) -> None:
    save_file({"network/weight": torch.zeros(2, 2)}, folder / "checkpoint.safetensors")


def with_foreign_metadata(folder: Path) -> None:
    tensors, meta = {"network/weight": torch.zeros(2, 2)}, {"relaxeq": "[1, 2]"}
    save_file(tensors, folder / "checkpoint.safetensors", meta)


def cut(name: str, keep: float) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: int(keep * len(whole))])

    return damage


def replaced(name: str, content: bytes) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return damage


DAMAGES: dict[str, Callable[[Path], None]] = {
    "empty": cut("checkpoint.safetensors", 0),
    "cut in its header": cut("checkpoint.safetensors", 0.3),
    "cut in its tensors": cut("checkpoint.safetensors", 0.98),
    "garbage": replaced("checkpoint.safetensors", b"\x80\x04garbage" * 20),
    "without metadata": without_metadata,
    "with foreign metadata": with_foreign_metadata,
    "no history": lambda folder: (folder / "history.jsonl").unlink(),
    "short history": cut("history.jsonl", 0.6),
    "empty history": cut("history.jsonl", 0),
    "history is no text": replaced("history.jsonl", b"\xff\xfe" * 40),
    "history is no JSON": replaced("history.jsonl", b"one\ntwo\nthree\nfour\n"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_is_said_and_nothing_is_overwritten(
    damage: Callable[[Path], None], run: Callable[..., FitResult], tmp_path: Path
) -> None:
    run(tmp_path, epochs=2)
    damage(tmp_path)
    before = contents(tmp_path)
    message = r"holds a damaged checkpoint \(.*\): choose another run_dir, or delete "
    with pytest.raises(CheckpointError, match=message):
        run(tmp_path, epochs=2)
    assert contents(tmp_path) == before
