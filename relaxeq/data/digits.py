"""The 1,797 handwritten digits that ship with relaxeq; DIGITS.md says whose they are."""

import hashlib
import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from relaxeq.errors import DataError

DIGITS_SHA256 = "b2dab7b501728c22e9119ad76740b2e17c77a231e42d1e592380d90886f1a05e"
BRIGHTEST = 16
REMEDY = "install relaxeq again, or in a checkout restore it from git"


def load_digits() -> tuple[Tensor, Tensor]:
    """Return the digits: images (1797, 8, 8), float32 in [0, 1], and labels (1797,), int64 in 0..9.

    Raises DataError when the file is missing or is not the one that was shipped.
    """
    return read_digits(Path(__file__).with_name("digits.npz"))


def read_digits(file: Path) -> tuple[Tensor, Tensor]:
    """Read `file` as `load_digits` does; its SHA-256 must be DIGITS_SHA256."""
    try:
        packed = file.read_bytes()
    except OSError as error:
        raise DataError(f"the digits cannot be read from {file}: {error}; {REMEDY}") from error
    found = hashlib.sha256(packed).hexdigest()
    if found != DIGITS_SHA256:
        raise DataError(
            f"the digits in {file} are damaged: SHA-256 {found}, not {DIGITS_SHA256}; {REMEDY}"
        )
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    return torch.from_numpy(images).float() / BRIGHTEST, torch.from_numpy(labels).long()
