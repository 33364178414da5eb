"""A run as one HTML file, which needs nothing else: Figure 3, curves, Table 4, settings."""

import datetime
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata, resources
from typing import Any, Protocol, final, runtime_checkable

import torch
from jinja2 import Environment, StrictUndefined, Template

from relaxeq.recipe import LearnedPrior
from relaxeq.report.curves import HEIGHT, WIDTH, charts_of
from relaxeq.report.files import PathLike, write_text
from relaxeq.report.log import RunLog
from relaxeq.report.palette import colours, readable_on
from relaxeq.report.record import flat_settings
from relaxeq.report.rows import NO_TYPE, Row, by_layer
from relaxeq.report.text import PRIOR_COLUMNS, ROW_COLUMNS, figure, prior_cells, row_cells

TEMPLATE = "page.html.jinja"
LABELLED = 0.12
"""Shares from here on have their figure written on the bar."""


@runtime_checkable
class Reported(Protocol):
    """What a page is made from: a `Report`."""

    @property
    def headline(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def evidence(self) -> float: ...
    @property
    def test_nll(self) -> float | None: ...
    @property
    def test_accuracy(self) -> float | None: ...
    @property
    def rows(self) -> tuple[Row, ...]: ...
    @property
    def others(self) -> tuple[LearnedPrior, ...]: ...
    @property
    def warnings(self) -> tuple[str, ...]: ...


@final
@dataclass(frozen=True)
class Segment:
    """A path's part of its layer's bar: its share in per cent, colours, and a label if it fits."""

    path: str
    percent: float
    colour: str
    ink: str
    label: str


def write_page(
    path: PathLike,
    title: str,
    report: Reported,
    log: RunLog = RunLog(),  # noqa: B008  (a frozen value)
    facts: Mapping[str, Any] | None = None,
) -> str:
    """Write a run as HTML to `path`, and return the text: one file, light and dark, no scripts.

    It shows the headline figures, the symmetry that every layer kept (Figure 3), curves of the
    evidence, accuracy and likelihood from `log`, Table 4, the run's settings with `facts` beside
    them (data, command, …), and what the page was written with. Raises CheckpointError if the file
    cannot be written.
    """
    values: dict[str, Any] = {
        "title": title,
        "report": report,
        "tiles": list(_tiles(report)),
        "legend": colours(row.path for row in report.rows),
        "layers": [(rows[0], _segments(report, rows)) for rows in by_layer(report.rows)],
        "no_type": NO_TYPE,
        "charts": charts_of(log, report.evidence),
        "width": WIDTH,
        "height": HEIGHT,
        "row_columns": ROW_COLUMNS,
        "groups": [[row_cells(row) for row in rows] for rows in by_layer(report.rows)],
        "other_columns": ("parameters", *PRIOR_COLUMNS),
        "others": [(prior.name, *prior_cells(prior)) for prior in report.others],
        "settings": _settings({**(facts or {}), **log.settings}),
        "environment": environment(),
    }
    return write_text(_template().render(values) + "\n", path)


def _settings(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is set, the last of each name."""
    told = ((name, str(value)) for name, value in flat_settings(settings) if value is not None)
    return list(dict(told).items())


def _tiles(report: Reported) -> Iterator[tuple[str, str, str]]:
    """Name, figure and unit of what a reader wants to know first."""
    if report.test_accuracy is not None:
        yield "Test accuracy", f"{100 * report.test_accuracy:.1f} %", "of the test data"
    if report.test_nll is not None:
        yield "Test NLL", f"{report.test_nll:.3f}", "nats per datum"
    yield "Log evidence", f"{report.evidence:.3f}".replace("-", "−"), "nats per datum"
    gamma = sum(row.effective_parameters for row in report.rows)
    gamma += sum(prior.effective_parameters for prior in report.others)
    shown = f"{gamma:,.0f}" if gamma >= 100 else figure(gamma)
    yield "Effective parameters γ", shown, f"of {report.size:,}"


def _segments(report: Reported, rows: tuple[Row, ...]) -> list[Segment]:
    hues = colours(row.path for row in report.rows)
    return [
        Segment(
            row.path,
            100 * row.share,
            hues[row.path],
            readable_on(hues[row.path]),
            f"{100 * row.share:.0f} %" if row.share >= LABELLED else "",
        )
        for row in rows
    ]


def environment() -> dict[str, str]:
    """Versions, system, threads and date, as they are now."""
    found = {"relaxeq": _version("relaxeq"), "torch": torch.__version__}
    found |= {name: _version(name) for name in ("numpy", "escnn")}
    return found | {
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": str(torch.get_num_threads()),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


@lru_cache(maxsize=1)
def _template() -> Template:
    text = resources.files("relaxeq.report").joinpath(TEMPLATE).read_text("utf-8")
    safe = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return safe.from_string(text)
