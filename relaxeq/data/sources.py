"""Named data sets: where their files lie, and how they come there."""

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from relaxeq.data.cifar import BRIGHTEST, holds_cifar10, read_cifar10
from relaxeq.data.digits import load_digits
from relaxeq.data.draws import generator
from relaxeq.data.idx import holds_idx, read_idx_pair
from relaxeq.errors import DataError

Pair = tuple[Tensor, Tensor]
Split = tuple[Pair, Pair]
"""Training and test data: images (n, c, h, w), float32 in [0, 1], and labels (n,), int64."""

CLASSES = 10
DIGITS_TO_TRAIN = 1500


class Source(ABC):
    """A data set of images in ten classes, with its own division into training and test data."""

    @abstractmethod
    def load(self, root: Path | None) -> Split:
        """Read it from the folder `root`; without one, from the cache, where downloads go."""


@final
@dataclass(frozen=True)
class Digits(Source):
    """The 1,797 digits that ship with relaxeq: 1,500 to train on, 297 to test on."""

    def load(self, root: Path | None) -> Split:
        if root is not None:
            raise DataError(f"root={str(root)!r}: the digits ship with relaxeq, leave root out")
        images, labels = load_digits()
        order = torch.from_numpy(generator(0, 0).permutation(len(images)))
        x, y = images[order][:, None], labels[order]
        cut = DIGITS_TO_TRAIN
        return (x[:cut], y[:cut]), (x[cut:], y[cut:])


@final
@dataclass(frozen=True)
class Idx(Source):
    """MNIST and those that look like it; `name` is that of the class in torchvision.datasets."""

    name: str

    def load(self, root: Path | None) -> Split:
        folder = self._folder(cache() if root is None else root)
        if folder is None and root is None:
            _download(self.name)
            folder = self._folder(cache())
        if folder is None:
            raise DataError(
                f"{self.name} is not in {root or cache()}: put its IDX files into "
                f"{Path(self.name) / 'raw'} there, or leave root out to download it"
            )
        return read_idx_pair(folder, "train"), read_idx_pair(folder, "t10k")

    def _folder(self, root: Path) -> Path | None:
        return next((f for f in (root / self.name / "raw", root) if holds_idx(f)), None)


@final
@dataclass(frozen=True)
class Cifar10(Source):
    """CIFAR-10: the binary version where it lies, else the one that torchvision downloads."""

    def load(self, root: Path | None) -> Split:
        place = cache() if root is None else root
        for folder in (place / "cifar-10-batches-bin", place):
            if holds_cifar10(folder):
                return read_cifar10(folder)
        if root is None:
            _download("CIFAR10")
        elif not (place / "cifar-10-batches-py").exists():
            raise DataError(
                f"CIFAR-10 is not in {root}: put its cifar-10-batches-bin or cifar-10-batches-py "
                "there, or leave root out to download it"
            )
        return self._pickled(place, True), self._pickled(place, False)

    def _pickled(self, place: Path, train: bool) -> Pair:
        try:
            found = _torchvision("CIFAR10")(place, train=train)
        except RuntimeError as error:
            raise DataError(
                f"{place / 'cifar-10-batches-py'} is damaged ({error}): delete it and download it "
                "again, or use the binary version"
            ) from error
        images = torch.from_numpy(np.moveaxis(found.data, 3, 1).copy())
        return images.float() / BRIGHTEST, torch.tensor(found.targets)


SOURCES: dict[str, Source] = {
    "digits": Digits(),
    "mnist": Idx("MNIST"),
    "fashion-mnist": Idx("FashionMNIST"),
    "cifar10": Cifar10(),
}


def load_images(name: str, root: str | os.PathLike[str] | None = None) -> Split:
    """The training and the test data of "digits", "mnist", "fashion-mnist" or "cifar10".

    Each is a pair of images (n, c, h, w), float32 in [0, 1], and labels (n,), int64 in 0..9. With
    `root` files are read there and nowhere else; without, they are downloaded once by torchvision
    to `cache()`. The tensors are kept and shared: copy before changing them. Raises DataError for
    an unknown name, a missing or damaged file, and a failed download, with the remedy.
    """
    if name not in SOURCES:
        raise DataError(f"data set {name!r} must be one of {', '.join(SOURCES)}")
    return _loaded(name, None if root is None else Path(root).expanduser().resolve())


@lru_cache(maxsize=2)
def _loaded(name: str, root: Path | None) -> Split:
    return SOURCES[name].load(root)


def cache() -> Path:
    """The folder of downloads: relaxeq in $XDG_CACHE_HOME, or in ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "relaxeq"


def _torchvision(name: str) -> Any:
    try:
        from torchvision import datasets
    except ImportError as error:
        raise DataError(
            f"{name} needs torchvision ({error}): pip install 'relaxeq[vision]', or give a root "
            "with its plain files"
        ) from error
    return getattr(datasets, name)


def _download(name: str) -> None:
    try:
        cache().mkdir(parents=True, exist_ok=True)
        _torchvision(name)(cache(), download=True)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{name} cannot be downloaded to {cache()}: {error}. Look at the network, or give a "
            "root that holds its files"
        ) from error
