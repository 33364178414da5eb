"""A user's own tensors in files, and every way in which they can be wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from relaxeq.data import TensorFile
from relaxeq.errors import DataError

X = np.arange(24.0).reshape(6, 4)
CLASSES = np.array([0, 2, 1, 1, 0, 2])


def write(file: Path, **arrays: Any) -> Path:
    if file.suffix == ".npz":
        np.savez(file, **arrays)
    else:
        torch.save({name: torch.as_tensor(value) for name, value in arrays.items()}, file)
    return file


@pytest.mark.parametrize("name", ["mine.npz", "mine.pt"])
def test_classes_and_a_test_set(tmp_path: Path, name: str) -> None:
    file = write(tmp_path / name, x=X, y=CLASSES, x_test=X[:2], y_test=CLASSES[:2])
    task = TensorFile(str(file))
    sets = task.load()
    assert torch.equal(sets.train.tensors[0], torch.from_numpy(X).float())
    assert sets.train.tensors[1].tolist() == CLASSES.tolist()
    assert sets.test is not None
    assert len(sets.test) == 2
    assert (sets.outputs, task.likelihood) == (3, "classification")
    assert task.describe() == f"6 to train and 2 to test on, of {name}"


def test_regression_without_a_test_set(tmp_path: Path) -> None:
    task = TensorFile(str(write(tmp_path / "mine.npz", x=X, y=X[:, :2])))
    sets = task.load()
    assert sets.test is None
    assert sets.train.tensors[1].dtype == torch.float32
    assert (sets.outputs, task.likelihood) == (2, "regression")
    assert task.describe() == "6 to train and 0 to test on, of mine.npz"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": X}, r"holds no x and y, but \['a'\]"),
        ({"x": X}, "holds one of x and y: it needs both"),
        ({"x": X, "y": CLASSES, "x_test": X}, "holds one of x_test and y_test: it needs both"),
        ({"x": X, "y": CLASSES[:5]}, r"must be \(n, ...\) and y as long, not \(6, 4\) and \(5,\)"),
        ({"x": CLASSES, "y": CLASSES}, r"x must be \(n, ...\)"),
        ({"x": X[:0], "y": CLASSES[:0]}, r"x must be \(n, ...\)"),
        ({"x": X, "y": X[:, 0]}, r"or \(n, outputs\) floating ones, not \(6,\) and torch.float64"),
        ({"x": X, "y": np.array(3)}, r"must be \(n, ...\) and y as long, not \(6, 4\) and \(\)"),
        ({"x": X + 1j, "y": CLASSES}, "x is complex; save real numbers, as of x.real"),
        ({"x": X, "y": X[:, :2] + 1j}, "y is complex; save real numbers, as of y.real"),
        ({"x": X, "y": CLASSES * 10**9}, "y holds labels from 0 to 2000000000, but classes count"),
        ({"x": X, "y": CLASSES - 1}, "y holds labels from -1 to 1, but classes count from 0"),
        ({"x": X, "y": CLASSES[:, None]}, r"must be \(n,\) whole numbers"),
    ],
)
def test_wrong_arrays_are_told(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        TensorFile(str(write(tmp_path / "mine.npz", **arrays))).load()


@pytest.mark.parametrize("name", ["mine.npz", "mine.pt"])
@pytest.mark.parametrize("content", [None, b"", b"no tensors", b"e"])
def test_a_missing_or_damaged_file_is_told(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError, match=rf"{name} cannot be read: .*; write it with numpy.savez"):
        TensorFile(str(file)).load()


def test_a_single_tensor_is_no_data_set(tmp_path: Path) -> None:
    torch.save(torch.zeros(3), tmp_path / "mine.pt")
    with pytest.raises(DataError, match="cannot be read"):
        TensorFile(str(tmp_path / "mine.pt")).load()


def test_a_file_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    class Code:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path(tmp_path / "ran").touch, ())

    torch.save({"x": Code()}, tmp_path / "mine.pt")
    with pytest.raises(DataError, match="cannot be read"):
        TensorFile(str(tmp_path / "mine.pt")).load()
    assert not (tmp_path / "ran").exists()


@pytest.mark.filterwarnings("ignore:Validating sparse")
def test_sparse_tensors_are_refused(tmp_path: Path) -> None:
    sparse = torch.eye(6).to_sparse()
    torch.save({"x": sparse, "y": torch.arange(6)}, tmp_path / "mine.pt")
    with pytest.raises(DataError, match=r"x is sparse; save x.to_dense\(\)"):
        TensorFile(str(tmp_path / "mine.pt")).load()


def test_the_least_value_of_a_channel_is_black(tmp_path: Path) -> None:
    images = np.stack([np.arange(32.0).reshape(2, 4, 4), -np.ones((2, 4, 4))], 1)
    file = write(tmp_path / "mine.npz", x=images, y=CLASSES[:2])
    assert TensorFile(str(file)).load().black == (0.0, -1.0)
