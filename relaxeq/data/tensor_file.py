"""A user's own data: tensors in a .npz or .pt file."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from relaxeq.data.tasks import Sets, Task
from relaxeq.errors import DataError

SUFFIXES = (".npz", ".pt")
CLASSES = 1 << 16
"""How many classes there are at most; larger labels are names or prices, and no classes."""


@final
@dataclass(frozen=True)
class TensorFile(Task):
    """x (n, ...) and y of a file, and x_test and y_test if it has them; as they are, not scaled.

    A .npz is what numpy.savez wrote, a .pt what torch.save wrote of a dictionary of tensors. y is
    (n,) whole numbers for classes, or (n, outputs) floating numbers to regress on. Pixels are black
    where they are least, per channel.
    """

    source: str

    def load(self, seed: int = 0) -> Sets:
        """The data; there is nothing for the seed to choose."""
        found = _read(Path(self.source))
        parts = [_pair(found, self.source, *names) for names in (("x", "y"), ("x_test", "y_test"))]
        if parts[0] is None:
            raise DataError(f"{self.source} holds no x and y, but {sorted(found)}")
        x, y = parts[0].tensors
        outputs = int(y.shape[1]) if y.is_floating_point() else int(y.max()) + 1
        black = tuple(x.amin((0, 2, 3)).tolist()) if x.ndim == 4 else ()
        return Sets(parts[0], parts[1], outputs, black)

    def describe(self) -> str:
        sets = self.load()
        test = 0 if sets.test is None else len(sets.test)
        return f"{len(sets.train):,} to train and {test:,} to test on, of {Path(self.source).name}"

    @property
    def likelihood(self) -> str:
        """ "classification" for whole numbers, "regression" for floating ones."""
        y = self.load().train.tensors[1]
        return "regression" if y.is_floating_point() else "classification"


def _read(file: Path) -> dict[str, Tensor]:
    try:
        if file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as arrays:
                return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
        found = torch.load(file, map_location="cpu", weights_only=True)
        return {name: value for name, value in found.items() if isinstance(value, Tensor)}
    except Exception as error:  # a file may hold anything
        cause = str(error).partition("\n")[0] or type(error).__name__
        raise DataError(
            f"{file} cannot be read: {cause}; write it with numpy.savez(file, x=x, y=y) or "
            "torch.save({'x': x, 'y': y}, file)"
        ) from error


def _pair(found: dict[str, Tensor], name: str, x: str, y: str) -> TensorDataset | None:
    if x not in found and y not in found:
        return None
    if x not in found or y not in found:
        raise DataError(f"{name} holds one of {x} and {y}: it needs both")
    _check_plain(found, name, x, y)
    inputs, targets = found[x].float(), found[y]
    if inputs.ndim < 2 or not targets.ndim or not len(inputs) == len(targets) > 0:
        raise DataError(
            f"{name}: {x} must be (n, ...) and {y} as long, not {tuple(inputs.shape)} and "
            f"{tuple(targets.shape)}"
        )
    floating = targets.is_floating_point()
    if targets.ndim != (2 if floating else 1):
        raise DataError(
            f"{name}: {y} must be (n,) whole numbers or (n, outputs) floating ones, not "
            f"{tuple(targets.shape)} and {targets.dtype}"
        )
    if floating:
        return TensorDataset(inputs, targets.float())
    _check_labels(targets.long(), name, y)
    return TensorDataset(inputs, targets.long())


def _check_plain(found: dict[str, Tensor], name: str, *parts: str) -> None:
    for part in parts:
        if found[part].layout != torch.strided:
            raise DataError(f"{name}: {part} is sparse; save {part}.to_dense()")
        if found[part].is_complex():
            raise DataError(f"{name}: {part} is complex; save real numbers, as of {part}.real")


def _check_labels(labels: Tensor, name: str, y: str) -> None:
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= CLASSES:
        raise DataError(
            f"{name}: {y} holds labels from {low} to {high}, but classes count from 0 to at most "
            f"{CLASSES - 1}; save numpy.unique({y}, return_inverse=True)[1], or floating numbers "
            "(n, outputs) to regress on"
        )
