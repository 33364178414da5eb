"""Presets: how large a table is run."""

from dataclasses import dataclass, replace
from typing import Any, final

from relaxeq.data import Fitted, ImageTask, Task, Transform
from relaxeq.errors import SpecError
from relaxeq.study import Training

OBJECTIVES = ("map", "laplace")
DIGITS = (1500, 297)
"""How many digits ship with relaxeq, to train and to test on."""


@final
@dataclass(frozen=True)
class Preset:
    """Settings of a table; every row, column, objective and seed is trained once.

    data          names of the data sets, as in `load_images`
    size          side of the images
    scale         width of the networks, relative to the paper's α
    train, test   images to train and to test on, None for all
    training      how networks are trained
    root, device  folder of the data sets, and where networks compute
    instead       how they are trained on other data sets, by name
    """

    data: tuple[str, ...]
    size: int
    scale: float
    train: int | None
    test: int | None
    training: Training
    seeds: tuple[int, ...] = (0,)
    root: str | None = None
    device: str = "cpu"
    instead: tuple[tuple[str, Training], ...] = ()

    def __post_init__(self) -> None:
        for name in ("seeds", "data"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise SpecError(f"{name}={values!r} must hold one or more values, each once.")
        if min(self.seeds) < 0:
            raise SpecError(f"seeds={self.seeds!r} must not be negative.")

    def alpha(self, paper: int) -> int:
        """The paper's α at this scale, at least 1."""
        return max(1, round(paper * self.scale))

    def resized(self, epochs: int | None = None, train: int | None = None) -> "Preset":
        """The preset with other epochs, or images to train on; None keeps its own.

        Raises SpecError for more digits than ship with relaxeq.
        """
        if train is not None and "digits" in self.data and train > DIGITS[0]:
            raise SpecError(
                f"train={train} must be at most {DIGITS[0]}, the digits that there are."
            )
        others = tuple((name, _as_long(each, epochs)) for name, each in self.instead)
        training = _as_long(self.training, epochs)
        return replace(self, train=train or self.train, training=training, instead=others)

    def training_on(self, task: Task) -> Training:
        """How networks are trained on the task's source."""
        return dict(self.instead).get(task.source, self.training)

    def task(self, source: str, *transforms: Transform) -> ImageTask:
        """Images of a source in the preset's size, and then transformed."""
        fitted = Fitted((self.size, self.size))
        return self.images(source, fitted, *transforms)

    def images(self, source: str, *transforms: Transform) -> ImageTask:
        """Images of a source, transformed; of the digits that ship with relaxeq all at most."""
        root = None if source == "digits" else self.root
        return ImageTask(source, transforms, *self._counts(source), root)

    def _counts(self, source: str) -> tuple[int | None, int | None]:
        """Images to train and to test on, of this source."""
        train, test = self.train, self.test
        if source == "digits":
            train = None if train is None else min(train, DIGITS[0])
            test = None if test is None else min(test, DIGITS[1])
        return train, test

    def record(self) -> dict[str, Any]:
        """What figures depend on beside data and seeds, as JSON values.

        Numbers of images are those of the one source, or what is asked of several.
        """
        train, test = self._counts(self.data[0]) if len(self.data) == 1 else (self.train, self.test)
        values = {"size": self.size, "scale": self.scale, "train": train, "test": test}
        others = {name: training.record() for name, training in self.instead if name in self.data}
        return values | {"training": self.training.record()} | others


def _as_long(training: Training, epochs: int | None) -> Training:
    return replace(training, epochs=epochs or training.epochs)


def smoke() -> Preset:
    """Seconds, to see that everything runs: a few digits, three epochs."""
    return Preset(("digits",), 8, 0.1, 60, 30, Training(3, burn_in=1, update_every=1))


def paper(*data: str) -> Preset:
    """App. F.6 as written: 4,000 augmented epochs on CIFAR-10, 1,000 plain ones on MNIST."""
    plain = tuple((name, Training(1000)) for name in ("mnist", "fashion-mnist", "digits"))
    return Preset(data, 32, 1.0, None, None, Training(4000, augment=True), instead=plain)
