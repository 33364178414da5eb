"""A user's own data: tensors in a .npz or .pt file."""

import pickle
import zipfile
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


@final
@dataclass(frozen=True)
class TensorFile(Task):
    """x (n, ...) and y of a file, and x_test and y_test if it has them; as they are, not scaled.

    A .npz is what numpy.savez wrote, a .pt what torch.save wrote of a dictionary of tensors. y is
    (n,) whole numbers for classes, or (n, outputs) floating numbers to regress on.
    """

    source: str

    def load(self, seed: int = 0) -> Sets:
        """The data; there is nothing for the seed to choose."""
        found = _read(Path(self.source))
        parts = [_pair(found, self.source, *names) for names in (("x", "y"), ("x_test", "y_test"))]
        if parts[0] is None:
            raise DataError(f"{self.source} holds no x and y, but {sorted(found)}")
        y = parts[0].tensors[1]
        outputs = int(y.shape[1]) if y.is_floating_point() else int(y.max()) + 1
        return Sets(parts[0], parts[1], outputs, ())

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
    except (
        OSError,
        RuntimeError,
        ValueError,
        TypeError,
        AttributeError,
        EOFError,
        zipfile.BadZipFile,
        pickle.UnpicklingError,
    ) as error:
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
    inputs, targets = found[x].float(), found[y]
    if inputs.ndim < 2 or len(inputs) != len(targets) or not len(inputs):
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
    return TensorDataset(inputs, targets.float() if floating else targets.long())
