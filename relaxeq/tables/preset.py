"""Presets: how large a table is run."""

from dataclasses import asdict, dataclass
from typing import Any, final

from relaxeq.data import Fitted, ImageTask, Transform
from relaxeq.errors import SpecError
from relaxeq.study import Training

NAMES = ("smoke", "cpu", "paper")
OBJECTIVES = ("map", "laplace")


@final
@dataclass(frozen=True)
class Preset:
    """Settings of a table; every row, column, objective and seed is trained once.

    data          names of the data sets, as in `load_images`
    size          side of the images
    scale         width of the networks, relative to the paper's α
    train, test   images to train and to test on, None for all
    training      as in `Training`
    """

    data: tuple[str, ...]
    size: int
    scale: float
    train: int | None
    test: int | None
    training: Training
    seeds: tuple[int, ...] = (0,)
    root: str | None = None

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

    def task(self, source: str, *transforms: Transform) -> ImageTask:
        """Images of a source in the preset's size, and then transformed."""
        fitted = Fitted((self.size, self.size))
        root = None if source == "digits" else self.root
        return ImageTask(source, (fitted, *transforms), self.train, self.test, root)

    def record(self) -> dict[str, Any]:
        """What figures depend on beside data and seeds, as JSON values."""
        values = asdict(self)
        for key in ("seeds", "root", "data"):
            values.pop(key)
        return values | {"training": self.training.record()}
