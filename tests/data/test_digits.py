"""The digits against what UCI publishes of them, and against files that went wrong."""

from pathlib import Path

import pytest
import torch

from relaxeq import data
from relaxeq.data.digits import read_digits
from relaxeq.errors import DataError

SHIPPED = Path(data.__file__).with_name("digits.npz")
PER_CLASS = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # UCI, optdigits.names, testing
FIRST_ROW = (
    "0,0,5,13,9,1,0,0, 0,0,13,15,10,15,5,0, 0,3,15,2,0,11,8,0, 0,4,12,0,0,8,8,0,"
    "0,5,8,0,0,9,8,0, 0,4,11,0,1,12,7,0, 0,2,14,5,10,12,0,0, 0,0,6,13,10,0,0,0, 0"
)  # UCI, optdigits.tes, line 1: 64 pixels and the label


def test_digits_are_those_of_uci() -> None:
    images, labels = data.load_digits()
    assert images.shape == (1797, 8, 8)
    assert images.dtype == torch.float32
    assert labels.dtype == torch.int64
    assert labels.bincount().tolist() == PER_CLASS
    *pixels, label = (int(value) for value in FIRST_ROW.split(","))
    assert (images[0].flatten() * 16).tolist() == pixels
    assert labels[0] == label


def test_pixels_are_sixteenths_between_0_and_1() -> None:
    images, _ = data.load_digits()
    assert images.min() == 0
    assert images.max() == 1
    assert torch.equal((images * 16).round() / 16, images)


def test_one_flipped_bit_is_refused(tmp_path: Path) -> None:
    damaged = bytearray(SHIPPED.read_bytes())
    damaged[2000] ^= 1
    file = tmp_path / "digits.npz"
    file.write_bytes(damaged)
    with pytest.raises(DataError, match=r"digits\.npz are damaged: SHA-256 .* restore it from git"):
        read_digits(file)


def test_missing_file_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read .*nowhere\.npz.*install relaxeq again"):
        read_digits(tmp_path / "nowhere.npz")


def test_provenance_names_the_file_that_ships() -> None:
    notice = SHIPPED.with_name("DIGITS.md").read_text(encoding="utf-8")
    assert data.digits.DIGITS_SHA256 in notice
    assert "CC BY 4.0" in notice
