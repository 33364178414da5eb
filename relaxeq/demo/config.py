"""What the demo trains: a frozen value, and the runs that it stands for."""

from dataclasses import asdict, dataclass
from typing import Any, final

from relaxeq.errors import SpecError
from relaxeq.recipe import Options

TASKS = ("digit", "digit+quadrant")
SPECS = ("F-FC", "CONV", "F-FC+CONV")
OBJECTIVES = ("map", "laplace")


@final
@dataclass(frozen=True)
class Run:
    """One training: which task, layers, objective and seed."""

    task: str
    spec: str
    objective: str
    seed: int

    @property
    def name(self) -> str:
        """Name of its folder."""
        return "_".join((self.task, self.spec, self.objective, f"seed{self.seed}")).lower()


@final
@dataclass(frozen=True)
class DemoConfig:
    """Settings of the demo; every task, spec, objective and seed is trained once.

    alpha                  width of PaperNet on 16×16 images
    epochs, lr, batch      training, as in relaxeq.fit
    burn_in, update_every  when precisions are updated, in epochs
    train, test            digits to train and to test on
    """

    alpha: int = 4
    epochs: int = 80
    lr: float = 0.005
    batch: int = 128
    burn_in: int = 10
    update_every: int = 5
    train: int = 1500
    test: int = 297
    seeds: tuple[int, ...] = (0,)
    tasks: tuple[str, ...] = TASKS
    specs: tuple[str, ...] = SPECS
    objectives: tuple[str, ...] = OBJECTIVES

    def __post_init__(self) -> None:
        for name in ("seeds", "tasks", "specs", "objectives"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise SpecError(f"{name}={values!r} must hold one or more values, each once.")
        if min(self.seeds) < 0:
            raise SpecError(f"seeds={self.seeds!r} must not be negative.")

    def runs(self) -> tuple[Run, ...]:
        """All trainings, the longest first, so that two processes end at about the same time."""
        runs = [
            Run(task, spec, objective, seed)
            for seed in self.seeds
            for task in self.tasks
            for spec in self.specs
            for objective in self.objectives
        ]
        return tuple(sorted(runs, key=self.cost, reverse=True))

    def cost(self, run: Run) -> float:
        """About how long a run takes; only ratios matter."""
        layers = sum({"F-FC": 1.0, "CONV": 3.0}.get(path, 4.0) for path in run.spec.split("+"))
        return self.epochs * layers * (1.5 if run.objective == "laplace" else 1.0)

    def options(self, run: Run) -> Options:
        """Options of the run's fit."""
        return Options(
            lr=self.lr,
            burn_in=self.burn_in,
            update_every=self.update_every,
            seed=run.seed,
            progress=False,
        )

    def record(self) -> dict[str, Any]:
        """The settings that a single run depends on, as JSON values."""
        plural = ("seeds", "tasks", "specs", "objectives")
        return {key: value for key, value in asdict(self).items() if key not in plural}


PRESETS = {
    "demo": DemoConfig(),
    "long": DemoConfig(epochs=160),
    "quick": DemoConfig(alpha=1, epochs=4, burn_in=1, update_every=1, train=200, test=100),
}
"""Named settings: "demo" is the main job, "long" lets the precisions of F-FC settle too, "quick"
shows in seconds that everything runs."""
