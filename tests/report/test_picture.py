"""The picture: its bars and dots are the figures of the rows, and its colours can be told apart."""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from relaxeq.errors import SpecError
from relaxeq.recipe import FitResult
from relaxeq.report import Report, colours, layers_figure, summary
from relaxeq.report.palette import KNOWN, SPARE, readable_on

Build = Callable[..., FitResult]


@pytest.fixture
def report(build: Build) -> Report:
    names = ("layers.0.paths.F-FC", "layers.1.paths.F-FC", "layers.1.paths.CONV")
    alphas = dict(zip(names, (1e3, math.inf, 0.1), strict=True))
    figures = [{"F-FC": 0.1, "CONV": 0.3}, {"F-FC": 0.0, "CONV": 0.3}, {"F-FC": 0.0, "CONV": 0.0}]
    return summary(build(figures, precisions=alphas))


def test_bars_are_the_shares(report: Report) -> None:
    shares, _ = layers_figure(report.rows).axes
    bars = [patch for patch in shares.patches if not patch.get_hatch()]
    assert [bar.get_width() for bar in bars] == pytest.approx([row.share for row in report.rows])
    assert [bar.get_x() for bar in bars] == pytest.approx([0, 0.25, 0, 0, 0, 0])
    assert [round(bar.get_y() + bar.get_height() / 2) for bar in bars] == [0, 0, 1, 1, 2, 2]
    assert bars[0].get_facecolor() != bars[1].get_facecolor() == bars[3].get_facecolor()


def test_layers_are_named_with_their_type_and_the_input_is_on_top(report: Report) -> None:
    shares, _ = layers_figure(report.rows).axes
    ticks = [tick.get_text() for tick in shares.get_yticklabels()]
    assert ticks == ["layers.0", "layers.1", "layers.2"]
    assert shares.yaxis_inverted()
    words = [(text.get_position()[1], text.get_text()) for text in shares.texts]
    assert words == [(0, "25 %"), (0, "75 %"), (0, "CONV"), (1, "100 %"), (1, "CONV"), (2, "none")]


def test_dots_are_the_precisions_and_infinite_ones_are_off(report: Report) -> None:
    _, precisions = layers_figure(report.rows).axes
    dots = [line for line in precisions.lines if line.get_marker() != "None"]
    places = [float(np.atleast_1d(dot.get_xdata())[0]) for dot in dots]
    names = [tick.get_text() for tick in precisions.get_xticklabels()]
    ticks = dict(zip(names, precisions.get_xticks(), strict=True))
    expected = [3.0, 0.0, ticks["off"], -1.0, 0.0, 0.0]
    assert places == pytest.approx(expected)
    assert ticks["off"] > ticks["$10^{3}$"] == 3
    assert [dot.get_marker() for dot in dots] == ["o", "o", ">", "o", "o", "o"]


def test_one_legend_names_the_paths(report: Report) -> None:
    (legend,) = layers_figure(report.rows).legends
    assert [text.get_text() for text in legend.get_texts()] == ["F-FC", "CONV"]


@pytest.mark.parametrize(
    ("ending", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")]
)
def test_files_are_what_their_endings_say(
    report: Report, tmp_path: Path, ending: str, start: bytes
) -> None:
    file = tmp_path / "pictures" / f"layers.{ending}"
    report.plot(file)
    assert file.read_bytes().startswith(start)


@pytest.mark.parametrize("name", ["layers", "layers.txt", "png"])
def test_other_endings_are_refused(report: Report, tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecError, match=r"must end in one of .png, .pdf, .svg"):
        report.plot(tmp_path / name)


def test_nothing_to_plot_is_told(build: Build, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no rows to plot: its network holds no relaxed layer"):
        summary(build([])).plot(tmp_path / "layers.png")


def test_colours_do_not_depend_on_other_paths() -> None:
    assert colours(["CONV", "F-FC"]) == {"CONV": KNOWN["CONV"], "F-FC": KNOWN["F-FC"]}
    found = colours(["GCONV[p4]", "CONV", "GCONV[p2]", "GCONV[p4]"])
    assert list(found) == ["GCONV[p4]", "CONV", "GCONV[p2]"]
    assert len(set(found.values())) == 3


def channels(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def linear(colour: str) -> np.ndarray:
    srgb = channels(colour)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
BLIND = {
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
}


def lab(rgb: np.ndarray) -> np.ndarray:
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(np.clip(to_xyz @ rgb, 0, None) / [0.9505, 1.0, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("kind", BLIND)
def test_the_colour_blind_tell_the_papers_paths_apart(kind: str) -> None:
    seen = {path: lab(np.array(BLIND[kind]) @ linear(hue)) for path, hue in KNOWN.items()}
    for first, second in itertools.combinations(seen, 2):
        assert np.linalg.norm(seen[first] - seen[second]) > 10, (first, second)


def test_text_on_bars_has_contrast() -> None:
    weights = np.array([0.2126, 0.7152, 0.0722])
    for hue in (*KNOWN.values(), *SPARE):
        pair = (hue, readable_on(hue))
        light, dark = sorted((float(weights @ linear(c)) for c in pair), reverse=True)
        assert (light + 0.05) / (dark + 0.05) > 3.0, hue


def test_a_legend_of_many_paths_stays_inside(report: Report) -> None:
    paths = [f"GCONV[p{number}mmm]" for number in range(10)]
    rows = [replace(report.rows[0], path=path, share=0.1, layer_type=paths[0]) for path in paths]
    figure = layers_figure(rows)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width
    assert box.y1 <= figure.bbox.height
    assert figure.get_figheight() > layers_figure(rows[:1]).get_figheight()
