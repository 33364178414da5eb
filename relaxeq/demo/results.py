"""All outcomes together: means over seeds, and the shares that layers learned."""

from dataclasses import dataclass
from typing import Any, final

from relaxeq.demo.config import DemoConfig, Run
from relaxeq.report import by_layer
from relaxeq.study import MEASURES, Figure, Outcome, figure_of


@final
@dataclass(frozen=True)
class Results:
    """The outcomes of every run of a config."""

    config: DemoConfig
    outcomes: tuple[Outcome[Run], ...]

    def cell(self, task: str, spec: str, objective: str) -> tuple[Outcome[Run], ...]:
        """The outcomes of one cell of Table 1, one per seed."""
        wanted = (task, spec, objective)
        found = [o for o in self.outcomes if (o.run.task, o.run.spec, o.run.objective) == wanted]
        return tuple(sorted(found, key=lambda outcome: outcome.run.seed))

    def figure(self, measure: str, task: str, spec: str, objective: str) -> Figure:
        """A measure of one cell over its seeds."""
        values = [MEASURES[measure](o.report) for o in self.cell(task, spec, objective)]
        return figure_of(values)

    def size(self, task: str, spec: str) -> int:
        """Number of parameters of a task's network."""
        return self.cell(task, spec, self.config.objectives[0])[0].report.size

    def learned(self, task: str) -> tuple[Outcome[Run], ...]:
        """The networks that could choose: several paths, precisions learned by the evidence."""
        cells = [self.cell(task, spec, "laplace") for spec in self.config.specs if "+" in spec]
        return tuple(outcome for cell in cells for outcome in cell)

    def shares(self, task: str, path: str) -> list[Figure]:
        """Per layer the relative effective number of parameters of `path`, over seeds."""
        tables = [by_layer(outcome.report.rows) for outcome in self.learned(task)]
        return [
            figure_of([row.share for layer in layers for row in layer if row.path == path])
            for layers in zip(*tables, strict=True)
        ]

    def record(self) -> list[dict[str, Any]]:
        """Every cell as JSON values."""
        return [
            self._cell_record(task, spec, objective)
            for task in self.config.tasks
            for spec in self.config.specs
            for objective in self.config.objectives
        ]

    def _cell_record(self, task: str, spec: str, objective: str) -> dict[str, Any]:
        figures = {name: self.figure(name, task, spec, objective) for name in MEASURES}
        cell = self.cell(task, spec, objective)
        return {
            "task": task,
            "spec": spec,
            "objective": objective,
            "parameters": self.size(task, spec),
            "seeds": [outcome.run.seed for outcome in cell],
            "seconds": [round(outcome.seconds, 1) for outcome in cell],
            **{name: {"mean": f.mean, "std": f.std} for name, f in figures.items()},
        }
