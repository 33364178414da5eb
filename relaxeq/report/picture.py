"""Figure 3 as a chart: per layer the shares of its paths, and their prior precisions."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from relaxeq.errors import SpecError
from relaxeq.report.files import PathLike, written
from relaxeq.report.palette import FAINT, INK, OFF, colours, readable_on
from relaxeq.report.rows import NO_TYPE, Row, by_layer

FORMATS = (".png", ".pdf", ".svg")
LINE = 0.22
"""Inches of a line of the legend."""
OFF_RANGE = 1e12
"""Precisions above this are drawn at the edge, as off: the weights are 0 to all digits."""


def layers_figure(rows: Sequence[Row]) -> Figure:
    """Shares per layer on the left, precisions on the right, one legend; the input is on top."""
    if not rows:
        raise SpecError("the report has no rows to plot: its network holds no relaxed layer.")
    count = len(by_layer(rows))
    figure = Figure(figsize=(9.0, 1.5 + 0.42 * count), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.5, 1))
    hues = colours(row.path for row in rows)
    draw_shares(left, rows, hues)
    draw_precisions(right, rows, hues)
    right.tick_params(left=False, labelleft=False)
    add_legend(figure, hues)
    return figure


def add_legend(figure: Figure, hues: dict[str, str]) -> None:
    """One legend for all panels, above them, in as many lines as its labels need."""
    handles = [Patch(color=colour, label=label) for label, colour in hues.items()]
    column = 0.6 + 0.105 * max(map(len, hues), default=0)  # inches: patch, gaps, letters
    columns = max(1, min(len(hues), int(figure.get_figwidth() / column)))
    lines = -(-len(hues) // columns)
    figure.set_figheight(figure.get_figheight() + LINE * (lines - 1))
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=columns,
        frameon=False,
        labelcolor=INK,
        handlelength=1.0,
        handleheight=1.0,
        fontsize=10.5,
        columnspacing=1.8,
    )


def draw_shares(axes: Axes, rows: Sequence[Row], hues: dict[str, str]) -> None:
    """One stacked bar per layer, 100 % long; its type is written behind it."""
    for y, layer in enumerate(by_layer(rows)):
        start = 0.0
        for row in layer:
            axes.barh(y, row.share, 0.7, start, color=hues[row.path], edgecolor="white", lw=0.8)
            if row.share > 0.1:
                place = (start + row.share / 2, y)
                ink = readable_on(hues[row.path])
                _write(axes, place, f"{100 * row.share:.0f} %", ink, "center", fontsize=8.5)
            start += row.share
        kind = layer[0].layer_type
        if kind == NO_TYPE:
            axes.barh(y, 1.0, 0.7, color="none", edgecolor=OFF, hatch="////", lw=0.5)
        _write(axes, (1.03, y), kind, INK, "left", weight="bold")
    axes.set_xlim(0, 1.22)
    axes.set_xticks([0, 0.5, 1], ["0", "50", "100 %"])
    _finish(axes, rows, "Relative effective number of parameters")


def draw_precisions(axes: Axes, rows: Sequence[Row], hues: dict[str, str]) -> None:
    """A line per path to its prior precision, on a logarithmic axis; those off reach the edge."""
    shown = [row.precision for row in rows if row.precision < OFF_RANGE]
    low = math.floor(math.log10(min(shown, default=1.0)) - 0.25)
    high = max(math.ceil(math.log10(max(shown, default=1.0)) + 0.25), low + 2)
    edge = high + 0.15 * (high - low)
    is_off = len(shown) < len(rows)
    for y, layer in enumerate(by_layer(rows)):
        for number, row in enumerate(layer):
            lane = y + 0.6 * ((number + 0.5) / len(layer) - 0.5)
            on = row.precision < OFF_RANGE
            x, mark = (math.log10(row.precision), "o") if on else (edge, ">")
            axes.plot([low, x], [lane, lane], color=hues[row.path], lw=1.6, zorder=1)
            axes.plot(x, lane, mark, color=hues[row.path], ms=7, mec="white", mew=0.8, zorder=2)
    ticks = list(range(low, high + 1, max(1, (high - low) // 4)))
    labels = [f"$10^{{{tick}}}$" for tick in ticks]
    axes.set_xticks(ticks + [edge] * is_off, labels + ["off"] * is_off)
    axes.set_xlim(low, edge + 0.06 * (high - low) if is_off else high)
    axes.grid(axis="x", color=FAINT, lw=0.6)
    axes.set_axisbelow(True)
    _finish(axes, rows, "Prior precision 1/σ²")


def _finish(axes: Axes, rows: Sequence[Row], title: str) -> None:
    layers = by_layer(rows)
    axes.set_yticks(range(len(layers)), [f"{layer[0].name}" for layer in layers])
    axes.set_ylim(len(layers) - 0.4, -0.6)
    axes.tick_params(length=0, colors=INK, labelsize=9)
    axes.spines[:].set_visible(False)
    axes.set_title(title, loc="left", fontsize=10.5, color=INK)


def _write(  # noqa: PLR0913
    axes: Axes, place: tuple[float, int], text: str, colour: str, side: str, **more: object
) -> None:
    look = {"fontsize": 9.5} | more
    axes.text(*place, text, color=colour, ha=side, va="center", **look)  # type: ignore[arg-type]


def save_figure(figure: Figure, path: PathLike) -> None:
    """Write the figure in the format of the path's ending, one of FORMATS."""
    ending = "." + str(path).rpartition(".")[2]
    if ending not in FORMATS:
        raise SpecError(f"path={str(path)!r} must end in one of {', '.join(FORMATS)}.")
    kept = {"Date": None} if ending in (".svg",) else None
    written(path, lambda file: figure.savefig(file, dpi=160, format=ending[1:], metadata=kept))
