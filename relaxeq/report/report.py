"""Report: the learned symmetry of a network, to print, save, plot and compare."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, final, get_args, get_origin, get_type_hints

from rich.console import RenderableType

from relaxeq.errors import CheckpointError, SpecError
from relaxeq.recipe import FitResult, LearnedPrior
from relaxeq.report.files import PathLike, write_text
from relaxeq.report.health import warnings_of
from relaxeq.report.log import RunLog, log_of
from relaxeq.report.page import write_page
from relaxeq.report.picture import layers_figure, save_figure
from relaxeq.report.rows import Row, others_of, rows_of
from relaxeq.report.text import headline, markdown, plain, renderable

Made = TypeVar("Made")
SCALARS = {int, float, str}


@final
@dataclass(frozen=True, repr=False)
class Report:
    """Table 4 of a fit, and what belongs beside it.

    `evidence` and `log_likelihood` are in nats per training datum (of `count`), `test_nll` in nats
    per datum, `test_accuracy` in [0, 1]; both None without test data. `rows` are paths of relaxed
    layers, `others` biases and plain modules, which take no part in the shares. `warnings` are
    sentences about what deserves a second look. `log`, settings and epochs of the run, is no part
    of the report's value and of its JSON; run folders hold it.
    """

    objective: str
    evidence: float
    log_likelihood: float
    count: int
    epochs: int
    test_nll: float | None
    test_accuracy: float | None
    rows: tuple[Row, ...]
    others: tuple[LearnedPrior, ...]
    warnings: tuple[str, ...]
    log: RunLog = field(default=RunLog(), compare=False)

    @property
    def size(self) -> int:
        """P of the whole network: its parameters under a prior."""
        return sum(row.size for row in self.rows) + sum(prior.size for prior in self.others)

    @property
    def headline(self) -> str:
        """Objective, evidence and test figures in one line."""
        figures = (self.evidence, self.test_nll, self.test_accuracy, self.count)
        return headline(self.objective, *figures)

    def __str__(self) -> str:
        return plain(self.__rich__())

    def __repr__(self) -> str:
        return str(self)  # what a notebook shows

    def __rich__(self) -> RenderableType:
        return renderable(self.headline, self.rows, self.others, self.warnings)

    def record(self) -> dict[str, Any]:
        """The report as JSON values, which `report_from` takes back."""
        values = asdict(replace(self, log=RunLog()))
        values.pop("log")
        return dict(_encode(values))

    def to_json(self, path: PathLike | None = None) -> str:
        """The report as JSON text, which `read_report` reads; written to `path` if given."""
        text = json.dumps(self.record(), indent=2, allow_nan=False, ensure_ascii=False)
        return write_text(text + "\n", path)

    def to_markdown(self, path: PathLike | None = None) -> str:
        """The report as markdown tables; written to `path` if given."""
        return write_text(markdown(self.headline, self.rows, self.others, self.warnings), path)

    def to_html(self, path: PathLike, title: str = "What the layers learned") -> str:
        """Write the report as one HTML file with chart, curves and tables (`write_page`)."""
        return write_page(path, title, self, self.log)

    def plot(self, path: PathLike) -> None:
        """Draw shares and precisions per layer (Figure 3) to a .png, .pdf or .svg file."""
        save_figure(layers_figure(self.rows), path)


def summary(result: FitResult) -> Report:
    """The learned symmetry of a fitted network: a row per relaxed layer and path (Table 4)."""
    if not isinstance(result, FitResult):
        raise SpecError(
            f"result={type(result).__name__}(...) is not what relaxeq.fit returned: pass that."
        )
    rows = rows_of(result)
    return Report(
        objective=result.objective,
        evidence=result.evidence,
        log_likelihood=result.log_likelihood,
        count=result.count,
        epochs=len(result.history),
        test_nll=result.metrics.get("test_nll"),
        test_accuracy=result.metrics.get("test_accuracy"),
        rows=rows,
        others=others_of(result),
        warnings=warnings_of(result, rows),
        log=log_of(result),
    )


def read_report(path: PathLike) -> Report:
    """The report that `Report.to_json` wrote. Raises CheckpointError for any other file."""
    try:
        return report_from(json.loads(Path(path).read_text("utf-8")))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(
            f"path={str(path)!r} holds no report ({error}): give a file that "
            "relaxeq.summary(result).to_json(path) wrote."
        ) from error


def report_from(values: Mapping[str, Any]) -> Report:
    """The inverse of `Report.record`."""
    rows = tuple(_made(Row, _decode(row)) for row in values["rows"])
    others = tuple(_made(LearnedPrior, _decode(prior)) for prior in values["others"])
    warnings = tuple(map(str, values["warnings"]))
    parts = {"rows": rows, "others": others, "warnings": warnings}
    return _made(Report, dict(values) | parts)


def _made(kind: type[Made], values: dict[str, Any]) -> Made:
    """A value of that kind; what a file holds in the place of its words and numbers is told."""
    for name, hint in get_type_hints(kind).items():
        kinds = {hint} if get_origin(hint) is tuple else {hint, *get_args(hint)}
        wanted = hint | int if float in kinds else hint  # JSON writes 1 for 1.0
        if kinds & SCALARS and not isinstance(values[name], wanted):
            raise TypeError(f"{name} is {values[name]!r}")
    return kind(**values)


def _encode(value: Any) -> Any:
    """JSON has no ∞: it becomes the text "inf"."""
    if isinstance(value, dict):
        return {key: _encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(item) for item in value]
    return "inf" if value == float("inf") else value


def _decode(values: dict[str, Any]) -> dict[str, Any]:
    return values | {"precision": float(values["precision"])}
