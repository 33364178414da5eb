"""Files in the IDX format of MNIST and Fashion-MNIST, plain or gzipped."""

import gzip
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from relaxeq.errors import DataError

UNSIGNED_BYTE = 8
BRIGHTEST = 255


def read_idx_pair(folder: Path, part: str) -> tuple[Tensor, Tensor]:
    """Images (n, 1, h, w), float32 in [0, 1], and labels (n,), int64, of `part` "train" or "t10k".

    The files are `part`-images-idx3-ubyte and `part`-labels-idx1-ubyte in `folder`, or these with
    .gz. Raises DataError for a missing or damaged file, and for unequal counts.
    """
    images = read_idx(_file(folder, f"{part}-images-idx3-ubyte"), 3)
    labels = read_idx(_file(folder, f"{part}-labels-idx1-ubyte"), 1)
    if len(images) != len(labels):
        raise DataError(
            f"{folder} holds {len(images)} {part} images and {len(labels)} labels: fetch both again"
        )
    return images[:, None].float() / BRIGHTEST, labels.long()


def read_idx(file: Path, ndim: int) -> Tensor:
    """The bytes of an IDX file as a uint8 tensor of `ndim` axes, checked against its header."""
    try:
        content = gzip.decompress(raw) if (raw := file.read_bytes())[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file} cannot be read: {error}; fetch it again") from error
    start = 4 + 4 * ndim
    if len(content) < start or content[:4] != bytes((0, 0, UNSIGNED_BYTE, ndim)):
        raise DataError(
            f"{file} is no IDX file of unsigned bytes with {ndim} axes: it begins with "
            f"{content[:4].hex(' ')}, not 00 00 08 {ndim:02}; fetch it again"
        )
    shape = struct.unpack(f">{ndim}I", content[4:start])
    expected = start + int(np.prod(shape))
    if len(content) != expected:
        raise DataError(
            f"{file} is damaged: {len(content)} bytes, not the {expected} that its shape {shape} "
            "needs; fetch it again"
        )
    values = np.frombuffer(content, np.uint8, offset=start).reshape(shape)
    return torch.from_numpy(values.copy())


def holds_idx(folder: Path) -> bool:
    """Whether the folder has the training images, so that a missing file is worth an error."""
    return any(file.exists() for file in _places(folder, "train-images-idx3-ubyte"))


def _places(folder: Path, name: str) -> Iterator[Path]:
    yield folder / name
    yield folder / f"{name}.gz"


def _file(folder: Path, name: str) -> Path:
    for file in _places(folder, name):
        if file.exists():
            return file
    raise DataError(f"{folder / name} (or .gz) is missing: put it there, or choose another root")
