"""Named data sets from small files that the tests write, and every way in which files can fail."""

import gzip
import pickle
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from relaxeq.data import load_digits, load_images, sources
from relaxeq.data.cifar import TEST, TRAIN
from relaxeq.data.sources import cache
from relaxeq.errors import DataError


def idx(values: np.ndarray) -> bytes:
    return struct.pack(f">4B{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


def write_idx(folder: Path, packed: bool = False) -> dict[str, np.ndarray]:
    """Six training and four test images of 5×3 pixels with their labels."""
    folder.mkdir(parents=True, exist_ok=True)
    draws, found = np.random.default_rng(1), {}
    for part, count in (("train", 6), ("t10k", 4)):
        images = draws.integers(0, 256, (count, 5, 3), dtype=np.uint8)
        labels = draws.integers(0, 10, count, dtype=np.uint8)
        for name, values in (("images-idx3", images), ("labels-idx1", labels)):
            found[f"{part}-{name}"] = values
            file, content = folder / f"{part}-{name}-ubyte", idx(values)
            if packed:
                file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(content, mtime=0))
            else:
                file.write_bytes(content)
    return found


@pytest.fixture
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no network here")

    sources._loaded.cache_clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("MNIST", "FashionMNIST", "CIFAR10"):
        monkeypatch.setattr(torchvision.datasets, name, fail)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("inner", ["MNIST/raw", "."])
def test_mnist_is_read_from_where_its_files_lie(tmp_path: Path, inner: str, packed: bool) -> None:
    written = write_idx(tmp_path / inner, packed)
    for part, (x, y) in zip(("train", "t10k"), load_images("mnist", tmp_path), strict=True):
        assert x.dtype == torch.float32
        assert np.array_equal(
            (255 * x[:, 0]).round().byte().numpy(), written[f"{part}-images-idx3"]
        )
        assert np.array_equal(y.numpy(), written[f"{part}-labels-idx1"])


def test_torchvision_reads_the_same_files(tmp_path: Path) -> None:
    write_idx(tmp_path / "FashionMNIST/raw")
    theirs = torchvision.datasets.FashionMNIST(tmp_path, train=False)
    x, y = load_images("fashion-mnist", tmp_path)[1]
    assert torch.equal(x[:, 0], theirs.data.float() / 255)
    assert torch.equal(y, theirs.targets)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    write_idx(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte \(or .gz\) is missing: put it"):
        load_images("mnist", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx(np.zeros((6, 5, 3), np.uint8))[:-1], "is damaged: 105 bytes, not the 106"),
        (b"<html>", "is no IDX file of unsigned bytes with 3 axes: it begins with 3c 68 74 6d"),
        (b"", "is no IDX file"),
        (gzip.compress(b"x" * 99, mtime=0)[:-9], "cannot be read"),
        (gzip.compress(b"x" * 99, mtime=0)[:10] + b"\xff" * 30, "cannot be read"),
        (idx(np.zeros((5, 5, 3), np.uint8)), "holds 5 train images and 6 labels"),
    ],
)
def test_a_damaged_file_is_told_with_the_remedy(
    tmp_path: Path, content: bytes, message: str
) -> None:
    write_idx(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(DataError, match=rf"{message}.*; fetch it again|{message}.*fetch both"):
        load_images("mnist", tmp_path)


def write_cifar(folder: Path) -> list[tuple[int, np.ndarray]]:
    """Two images per training file and three to test on, in CIFAR-10's binary format."""
    folder.mkdir(parents=True)
    draws, found = np.random.default_rng(2), []
    for name in TRAIN + TEST:
        count = 3 if name in TEST else 2
        records = [
            (int(draws.integers(10)), draws.integers(0, 256, (3, 32, 32), dtype=np.uint8))
            for _ in range(count)
        ]
        found += records
        (folder / name).write_bytes(b"".join(bytes([k]) + image.tobytes() for k, image in records))
    return found


@pytest.mark.parametrize("inner", ["cifar-10-batches-bin", "here"])
def test_cifar10_is_read_from_its_binary_format(tmp_path: Path, inner: str) -> None:
    written = write_cifar(tmp_path / inner)
    train, test = load_images("cifar10", tmp_path / inner if inner == "here" else tmp_path)
    assert (len(train[0]), len(test[0])) == (10, 3)
    for (label, image), x, y in zip(
        written, torch.cat([train[0], test[0]]), torch.cat([train[1], test[1]]), strict=True
    ):
        assert np.array_equal((255 * x).round().byte().numpy(), image)
        assert int(y) == label


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\1" * 3072, "3072 bytes are no multiple of 3073; fetch it again"),
        (b"", "0 bytes are no multiple"),
        (b"\12" + bytes(3072), "label 10 is not in 0 to 9; fetch it again"),
        (None, "cannot be read: .*; put the binary version of CIFAR-10 there"),
    ],
)
def test_damaged_cifar10_is_told(tmp_path: Path, content: bytes | None, message: str) -> None:
    write_cifar(tmp_path / "bin")
    file = tmp_path / "bin" / "data_batch_3.bin"
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(DataError, match=f"data_batch_3.bin .*{message}"):
        load_images("cifar10", tmp_path / "bin")


def test_the_version_that_torchvision_downloads_is_read_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (2, 3072), dtype=np.uint8)
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in [f"data_batch_{k}" for k in range(1, 6)] + ["test_batch"]:
        (folder / name).write_bytes(pickle.dumps({"data": pixels, "labels": [7, 1]}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": ["a"]}))
    with pytest.raises(DataError, match="cifar-10-batches-py is damaged .*: delete it and"):
        load_images("cifar10", tmp_path)  # small files have other check sums
    found = torchvision.datasets.CIFAR10
    monkeypatch.setattr(found, "_check_integrity", lambda self: True)
    monkeypatch.setattr(torchvision.datasets.cifar, "check_integrity", lambda *_: True)
    train, (x, y) = load_images("cifar10", tmp_path)
    assert len(train[0]) == 10
    assert np.array_equal((255 * x).round().byte().numpy().reshape(2, -1), pixels)
    assert y.tolist() == [7, 1]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mnist", "MNIST is not in .*: put its IDX files into MNIST/raw there, or leave root out"),
        ("cifar10", "CIFAR-10 is not in .*: put its cifar-10-batches-bin or"),
        ("digits", "the digits ship with relaxeq, leave root out"),
        ("svhn", "data set 'svhn' must be one of digits, mnist, fashion-mnist, cifar10"),
    ],
)
def test_an_empty_root_and_other_names_are_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_images(name, tmp_path)
    assert not list(tmp_path.iterdir())  # a root is only read


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_without_a_network_the_remedy_is_told(name: str, no_network: None) -> None:
    with pytest.raises(DataError, match="cannot be downloaded to .*: no network here. Look at"):
        load_images(name)


def test_a_download_lies_in_the_cache(no_network: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(root: Path, download: bool) -> None:
        assert download
        write_idx(root / "MNIST" / "raw")

    monkeypatch.setattr(torchvision.datasets, "MNIST", fake)
    assert len(load_images("mnist")[0][0]) == 6
    assert (cache() / "MNIST" / "raw").is_dir()


def test_without_torchvision_the_extra_is_named(
    no_network: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(DataError, match=r"needs torchvision .*: pip install 'relaxeq\[vision\]'"):
        load_images("mnist")


def test_digits_come_divided_and_shuffled() -> None:
    (x, y), (x_test, y_test) = load_images("digits")
    assert (x.shape, x_test.shape) == ((1500, 1, 8, 8), (297, 1, 8, 8))
    images, labels = load_digits()
    assert torch.equal(torch.cat([y, y_test]).bincount(), labels.bincount())
    assert float(torch.cat([x, x_test]).sum()) == pytest.approx(float(images.sum()))
    assert not torch.equal(y, labels[:1500])
    assert load_images("digits")[0][0] is x  # kept
