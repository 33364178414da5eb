"""CIFAR-10 in its binary format: 3,073 bytes per image, the label and 32×32 red, green, blue."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relaxeq.errors import DataError

SHAPE = (3, 32, 32)
RECORD = 1 + 3 * 32 * 32
CLASSES = 10
BRIGHTEST = 255
TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST = ("test_batch.bin",)


def read_cifar10(folder: Path) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Training and test images (n, 3, 32, 32), float32 in [0, 1], with labels (n,), int64.

    `folder` holds data_batch_1.bin to data_batch_5.bin and test_batch.bin, of any number of images
    each. Raises DataError for a missing or damaged file.
    """
    return _read_all(folder, TRAIN), _read_all(folder, TEST)


def holds_cifar10(folder: Path) -> bool:
    """Whether the folder has one of the files, so that a missing one is worth an error."""
    return any((folder / name).exists() for name in TRAIN + TEST)


def _read_all(folder: Path, names: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    records = np.concatenate([_records(folder / name) for name in names])
    images = torch.from_numpy(records[:, 1:].reshape(-1, *SHAPE).copy()).float() / BRIGHTEST
    return images, torch.from_numpy(records[:, 0].copy()).long()


def _records(file: Path) -> NDArray[np.uint8]:
    try:
        content = np.frombuffer(file.read_bytes(), np.uint8)
    except OSError as error:
        raise DataError(
            f"{file} cannot be read: {error}; put the binary version of CIFAR-10 there"
        ) from error
    if not len(content) or len(content) % RECORD:
        raise DataError(
            f"{file} is damaged: {len(content)} bytes are no multiple of {RECORD}; fetch it again"
        )
    records = content.reshape(-1, RECORD)
    if (worst := int(records[:, 0].max())) >= CLASSES:
        raise DataError(f"{file} is damaged: label {worst} is not in 0 to 9; fetch it again")
    return records
