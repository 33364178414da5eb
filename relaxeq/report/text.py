"""Table 4 as text: rich for terminals, plain for print, markdown for documents."""

import io
import math
from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from relaxeq.recipe import LearnedPrior
from relaxeq.report.palette import colours
from relaxeq.report.rows import Row, by_layer

WIDTH = 110
PRIOR_COLUMNS = ("precision", "‖θ‖²", "γ", "P", "γ/P")
ROW_COLUMNS = ("layer", "path", "symmetry", *PRIOR_COLUMNS, "share", "type")


def headline(
    objective: str, evidence: float, nll: float | None, accuracy: float | None, count: int
) -> str:
    """Objective, evidence per datum and test figures in one line."""
    parts = [f"{objective}: log evidence {evidence:.4f} nats per datum ({count:,} data)"]
    parts += [] if nll is None else [f"test NLL {nll:.4f}"]
    parts += [] if accuracy is None else [f"test accuracy {100 * accuracy:.2f} %"]
    return ", ".join(parts)


def row_cells(row: Row) -> tuple[str, ...]:
    """A row as texts under ROW_COLUMNS."""
    priors = prior_cells(row)
    share = f"{100 * row.share:.1f} %"
    return row.name, row.path, row.symmetry, *priors, share, row.layer_type


def prior_cells(prior: Row | LearnedPrior) -> tuple[str, ...]:
    """Precision, squared norm, γ, P and γ/P as texts."""
    gamma = prior.effective_parameters
    figures = figure(prior.precision), figure(prior.squared_norm), figure(gamma)
    return *figures, f"{prior.size:,}", figure(gamma / prior.size)


def figure(value: float) -> str:
    """Three significant digits; ∞ for a path that is off."""
    if math.isinf(value):
        return "∞"
    return f"{value:.3g}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.1e}"


def renderable(
    title: str, rows: Sequence[Row], others: Sequence[LearnedPrior], warnings: Iterable[str]
) -> RenderableType:
    """Everything a report shows on a terminal."""
    gap = Text()
    parts: list[RenderableType] = [Text(title, style="bold"), gap]
    parts += [_rows_table(rows)] if rows else [Text("No relaxed layers: nothing to choose.")]
    parts += [gap, _others_table(others)] if others else []
    notes = [Text(f"! {sentence}", style="yellow") for sentence in warnings]
    return Group(*parts, *([gap, *notes] if notes else []))


def plain(content: RenderableType, width: int = WIDTH) -> str:
    """What rich draws, as text without colour codes, at most `width` columns."""
    out = io.StringIO()
    console = Console(file=out, width=width, color_system=None, highlight=False, emoji=False)
    console.print(content)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def bare_table() -> Table:
    """A rich table with one line, under its head."""
    return Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)


def _table(columns: Sequence[str], left: int, folding: Sequence[str] = ()) -> Table:
    table = bare_table()
    for number, name in enumerate(columns):
        side = "left" if number < left or name == "type" else "right"
        folds = name in folding  # what does not ends in … where there is no room for it
        overflow = "fold" if folds else "ellipsis"
        table.add_column(name, justify=side, no_wrap=not folds, overflow=overflow)  # type: ignore[arg-type]
    return table


def _rows_table(rows: Sequence[Row]) -> Table:
    table = _table(ROW_COLUMNS, 3, folding=("layer",))
    hues = colours(row.path for row in rows)
    for layer in by_layer(rows):
        for row in layer:
            first = row is layer[0]
            cells = row_cells(row)
            style = hues[row.path] if row.path == row.layer_type else ""
            shown = (cells[0] if first else "", *cells[1:-1], cells[-1] if first else "")
            table.add_row(*map(Text, shown), style=style)
    return table


def _others_table(others: Sequence[LearnedPrior]) -> Table:
    table = _table(("other parameters", *PRIOR_COLUMNS), 1, folding=("other parameters",))
    for prior in others:
        table.add_row(*map(Text, (prior.name, *prior_cells(prior))), style="dim")
    return table


def markdown(
    title: str, rows: Sequence[Row], others: Sequence[LearnedPrior], warnings: Iterable[str]
) -> str:
    """The same as two markdown tables and a list of warnings."""
    parts = [title]
    if rows:
        parts.append(markdown_table(ROW_COLUMNS, [row_cells(row) for row in rows], left=3))
    if others:
        cells = [(prior.name, *prior_cells(prior)) for prior in others]
        parts.append(markdown_table(("other parameters", *PRIOR_COLUMNS), cells, left=1))
    parts += ["\n".join(f"- {sentence}" for sentence in warnings)]
    return "\n\n".join(part for part in parts if part) + "\n"


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A markdown table: the first `left` columns and types aligned left, figures right."""
    rule = ["---" if n < left or name == "type" else "---:" for n, name in enumerate(columns)]
    lines = ([cell.replace("|", "\\|") for cell in line] for line in (columns, rule, *rows))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
