"""Figure 2: a sparse filter, from its anchors over its functions to its weights."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from relaxeq.paths import SparseConv, SparseFC
from relaxeq.report.files import PathLike
from relaxeq.report.palette import FAINT, INK
from relaxeq.report.picture import save_figure
from relaxeq.report.sparse_sheets import Grid, Sheet, basis_of, check_sparse, omega_of, sheets_of

HUES = LinearSegmentedColormap.from_list(
    "signed", ["#0072B2", "#8CC1DF", "#FFFFFF", "#F0A36B", "#D55E00"]
)
"""Negative to positive, white at 0, told apart by the colour-blind."""

FEW = 25
"""Up to so many weights have their figures written on them."""

TITLES = ("Anchors: values u at z", "s(p) = Σ u φ(p) in between", "Weights: s at the pixels")


def plot_sparse(
    path: SparseFC | SparseConv, file: PathLike, pair: tuple[int, int] = (0, 0)
) -> None:
    """Draw `sparse_figure` to a .png, .pdf or .svg file."""
    save_figure(sparse_figure(path, pair), file)


def sparse_figure(path: SparseFC | SparseConv, pair: tuple[int, int] = (0, 0)) -> Figure:
    """The weights of S-FC, S-CONV or S-GCONV from channel c to c' as a picture, pair = (c', c).

    A row per factor, or per orientation of a filter: the anchors z_j with their values u_j, the
    function s(p) = Σ_j u_j φ_j(p) between the pixels, and the weights, s at the pixels (Figure 2).
    Channels count as in `path.anchors`. Raises SpecError for other paths, or where weights lie on
    the elements of a finite group, which have no plane.
    """
    check_sparse(path, pair)
    rows = [tuple(sheets_of(path, name, pair)) for name in path.bases]
    count = sum(map(len, rows))
    figure = Figure(figsize=(9.6, 0.6 + _height(rows)), layout="compressed")
    panels = figure.subplots(count, 3, squeeze=False)
    start = 0
    for sheets in rows:
        _draw_factor(figure, panels[start : start + len(sheets)], sheets)
        start += len(sheets)
    for axes, title in zip(panels[0], TITLES, strict=True):
        axes.set_title(title, loc="left", fontsize=10.5, color=INK)
    figure.suptitle(
        _headline(path, pair), x=0.01, ha="left", fontsize=10.5, color=INK, weight="bold"
    )
    return figure


def _height(rows: Sequence[Sequence[Sheet]]) -> float:
    """Inches of all planes, each 2.4 inches wide, and of the gaps between them."""
    shapes = [sheet.weights.shape for sheets in rows for sheet in sheets]
    return sum(min(2.4 * height / width, 4.8) + 0.35 for height, width in shapes)


def _draw_factor(figure: Figure, panels: NDArray[np.object_], sheets: Sequence[Sheet]) -> None:
    """The rows of one factor, which share their scales of colour."""
    of_u = _largest([sheet.u for sheet in sheets])
    of_s = _largest([sheet.weights for sheet in sheets] + [sheet.between for sheet in sheets])
    for (left, middle, right), sheet in zip(panels, sheets, strict=True):
        dots = _draw_anchors(left, sheet, of_u)
        _draw_plane(middle, sheet, sheet.between, of_s)
        image = _draw_plane(right, sheet, sheet.weights, of_s)
        middle.plot(sheet.z[:, 1], sheet.z[:, 0], ".", color=INK, ms=2.5)
        if sheet.weights.size <= FEW:
            _write_figures(right, sheet, of_s)
        left.set_ylabel(sheet.title, fontsize=9.5, color=INK)
        for shown, axes, label in ((dots, left, "u"), (image, right, "s")):
            bar = figure.colorbar(shown, ax=axes, shrink=0.8, aspect=14)
            bar.ax.set_title(label, fontsize=9, color=INK)
            bar.ax.tick_params(length=0, colors=INK, labelsize=8)
            bar.outline.set_visible(False)


def _largest(values: Sequence[Grid]) -> float:
    return max((float(np.abs(array).max(initial=0.0)) for array in values), default=0.0) or 1.0


def _draw_anchors(axes: Axes, sheet: Sheet, largest: float) -> ScalarMappable:
    """A dot per anchor, on the lines of the pixels."""
    _draw_frame(axes, sheet)
    height, width = sheet.weights.shape
    area = 20 + 4000 / max(height, width) ** 2
    return axes.scatter(
        sheet.z[:, 1],
        sheet.z[:, 0],
        s=min(area, 260),
        c=sheet.u,
        cmap=HUES,
        vmin=-largest,
        vmax=largest,
        edgecolors=INK,
        linewidths=0.7,
        zorder=2,
    )


def _draw_plane(axes: Axes, sheet: Sheet, values: Grid, largest: float) -> ScalarMappable:
    smooth = "bilinear" if values is sheet.between else "nearest"
    image = axes.imshow(
        values, cmap=HUES, vmin=-largest, vmax=largest, extent=sheet.extent, interpolation=smooth
    )
    _draw_frame(axes, sheet)
    return image


def _draw_frame(axes: Axes, sheet: Sheet) -> None:
    """The pixels' edges, and room for anchors that moved out of a filter."""
    left, right, bottom, top = sheet.extent
    rows, columns = np.arange(top, bottom + 1), np.arange(left, right + 1)
    thin = min(0.6, 6 / max(sheet.weights.shape))
    axes.hlines(rows, left, right, color=FAINT, lw=thin, zorder=1)
    axes.vlines(columns, top, bottom, color=FAINT, lw=thin, zorder=1)
    low, high = sheet.z - 0.3, sheet.z + 0.3
    axes.set_xlim(np.append(low[:, 1], left).min(), np.append(high[:, 1], right).max())
    axes.set_ylim(np.append(high[:, 0], bottom).max(), np.append(low[:, 0], top).min())
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _write_figures(axes: Axes, sheet: Sheet, largest: float) -> None:
    top, left = sheet.low
    for (i, j), weight in np.ndenumerate(sheet.weights):
        ink = "#FFFFFF" if abs(weight) > 0.75 * largest else INK
        place = (left + j + 0.5, top + i + 0.5)
        figure = f"{weight:.2f}".replace("-", "−")
        axes.text(*place, figure, color=ink, ha="center", va="center", fontsize=8.5)


def _headline(path: SparseFC | SparseConv, pair: tuple[int, int]) -> str:
    shapes = [basis_of(path, name).shape for name in path.bases]
    anchors, weights = (" + ".join(str(shape[k]) for shape in shapes) for k in (0, 1))
    counts = f"{anchors} anchors for {weights} weights"
    omega = float(omega_of(path, pair))
    return f"{path.label}, channel {pair[1]} to {pair[0]}: {counts}, ω = {omega:.2f}"
