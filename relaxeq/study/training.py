"""How networks are trained, as a value (App. F.6)."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, final

from relaxeq.curvature import Batch
from relaxeq.data import AugmentedLoader, Flips, Sets, Shifts, TensorLoader
from relaxeq.errors import SpecError
from relaxeq.evidence import Adam, Update
from relaxeq.recipe import Loaders, Options

SHIFT = 4


@final
@dataclass(frozen=True)
class Training:
    """Settings of a fit; the defaults are those of App. F.6 but for the number of epochs.

    epochs, lr, batch      of the weights, by Adam with a cosine-annealed rate
    burn_in, update_every  when precisions are updated, in epochs
    update                 how precisions move
    augment                flips and shifts by 4 pixels, for updates of weights only
    likelihood             "classification" or "regression"
    """

    epochs: int = 100
    lr: float = 0.01
    batch: int = 128
    burn_in: int = 10
    update_every: int = 5
    update: Update = Adam(lr=0.1, steps=20)
    augment: bool = False
    likelihood: str = "classification"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch"):
            if getattr(self, name) < 1:
                raise SpecError(f"{name}={getattr(self, name)} must be at least 1.")

    def options(self, seed: int, progress: bool = False) -> Options:
        """Options of `relaxeq.fit`."""
        return Options(
            lr=self.lr,
            burn_in=self.burn_in,
            update_every=self.update_every,
            update=self.update,
            likelihood=self.likelihood,
            seed=seed,
            progress=progress,
        )

    def loaders(
        self, sets: Sets, seed: int
    ) -> tuple[Iterable[Batch] | Loaders, TensorLoader | None]:
        """Training loader, in two parts if images are augmented, and test loader if any."""
        plain = TensorLoader(sets.train, self.batch, seed=seed)
        held_out = sets.test
        test = None if held_out is None else TensorLoader(held_out, max(self.batch, 512))
        if not self.augment:
            return plain, test
        x, y = sets.train.tensors
        steps = (Flips(), Shifts(SHIFT, sets.black or None))
        return Loaders(AugmentedLoader((x, y), self.batch, steps, seed), plain), test

    def record(self) -> dict[str, Any]:
        """The settings as JSON values."""
        return asdict(self) | {"update": repr(self.update)}
