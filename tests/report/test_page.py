"""The HTML page, read with a parser: it stands alone, and its figures are those of the report."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch

from relaxeq.errors import CheckpointError
from relaxeq.recipe import FitResult
from relaxeq.report import Report, RunLog, summary, write_page
from relaxeq.report.palette import KNOWN

Build = Callable[..., FitResult]
VOID = {"meta", "line", "circle", "polyline"}
HISTORY = [
    {"epoch": 1, "train_nll": 2.0, "lr": 0.1},
    {"epoch": 2, "train_nll": 1.5, "evidence": -3.25, "test_nll": 1.6, "test_accuracy": 0.5},
    {"epoch": 3, "train_nll": 1.0},
    {"epoch": 4, "train_nll": 0.5, "evidence": -2.5, "test_nll": 1.1, "test_accuracy": 0.875},
]


@dataclass
class Element:
    """An element of a page: its tag, attributes, and all text inside."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    inside: list["Element"] = field(default_factory=list)

    def all(self, tag: str, **wanted: str) -> list["Element"]:
        found = [e for child in self.inside for e in (child, *child.all(""))]
        hits = wanted.items()
        return [e for e in found if tag in ("", e.tag) and hits <= e.attributes.items()]


class Reader(HTMLParser):
    """Reads a page whose elements are all closed, or fails."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.root = Element("page", {})
        self.open = [self.root]
        self.feed(page)
        self.close()
        assert self.open == [self.root], f"{self.open[-1].tag} is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = Element(tag, {key: value or "" for key, value in attrs})
        self.open[-1].inside.append(made)
        if tag not in VOID:
            self.open.append(made)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].inside.append(Element(tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data


@pytest.fixture
def report(build: Build) -> Report:
    off = {"layers.0.paths.F-FC": math.inf}
    figures = [{"F-FC": 0.1, "CONV": 0.3}, {"F-FC": 0.3, "CONV": 0.01}, {"CONV": 0.0}]
    return summary(build(figures, precisions=off, history=HISTORY))


@pytest.fixture
def page(report: Report, tmp_path: Path) -> Element:
    log = RunLog({"options": {"lr": 0.005, "update": "MacKay()"}, "epochs": 4}, report.log.history)
    facts = {"data": "digits & <more>"}
    return Reader(write_page(tmp_path / "run.html", "A <b> run", report, log, facts)).root


def test_the_page_stands_alone(report: Report, tmp_path: Path) -> None:
    file = tmp_path / "new" / "run.html"
    text = write_page(file, "Mine", report)
    assert file.read_text("utf-8") == text
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert not re.search(r"<(script|link|img|iframe|object)\b|url\(|@import|https?:|//", text)
    assert "prefers-color-scheme: dark" in text
    assert [path.name for path in file.parent.iterdir()] == ["run.html"]


def test_texts_are_escaped(page: Element) -> None:
    assert [e.text for e in page.all("h1")] == ["A <b> run"]
    assert [e.text for e in page.all("title")] == ["A <b> run"]
    assert not page.all("b")
    assert "digits & <more>" in [e.text for e in page.all("dd")]


def test_it_can_be_read_aloud(page: Element) -> None:
    """Every drawing has words or is hidden, headings go down by one, regions name themselves."""
    hidden = [e for part in page.all("", **{"aria-hidden": "true"}) for e in part.all("svg")]
    drawings = [e for e in page.all("svg") if e not in hidden]
    assert len(drawings) == 3
    for drawing in (*drawings, *page.all("", role="img")):
        assert drawing.attributes["role"] == "img"
        assert drawing.attributes["aria-label"]
    headings = [int(e.tag[1]) for e in page.all("") if re.fullmatch(r"h\d", e.tag)]
    assert headings[0] == 1
    assert all(b <= a + 1 for a, b in zip(headings, headings[1:], strict=False))
    names = {e.attributes.get("id") for e in page.all("h2")}
    assert {e.attributes["aria-labelledby"] for e in page.all("section")} <= names
    assert all(e.attributes["scope"] == "col" for e in page.all("th"))


def test_a_setting_is_told_once(tmp_path: Path, report: Report) -> None:
    log = RunLog({"lr": 0.1, "options": {"seed": 3}}, ())
    root = Reader(write_page(tmp_path / "a.html", "A", report, log, {"seed": 3, "data": "x"})).root
    names = [e.text for e in root.all("dt")]
    assert [names.count(name) for name in ("seed", "data", "lr")] == [1, 1, 1]


def test_bars_are_the_shares(page: Element, report: Report) -> None:
    bars = page.all("div", role="img")
    assert [bar.attributes["aria-label"] for bar in bars] == [
        "F-FC 25.0 %, CONV 75.0 %",
        "F-FC 96.8 %, CONV 3.2 %",
        "CONV 0.0 %",
    ]
    styles = [[part.attributes["style"] for part in bar.all("span")] for bar in bars]
    assert styles[0][0].startswith(f"width:25.00%;background:{KNOWN['F-FC']};color:#")
    assert [len(parts) for parts in styles] == [2, 2, 0]
    assert [[p.text for p in bar.all("span")] for bar in bars] == [
        ["25 %", "75 %"],
        ["97 %", ""],
        [],
    ]
    assert ["off" in bar.attributes["class"] for bar in bars] == [False, False, True]
    (chart,) = page.all("dl", **{"class": "layers"})
    assert [e.text for e in chart.all("dt")] == ["layers.0", "layers.1", "layers.2"]
    types = [e.text for e in chart.all("dd", **{"class": "type"})]
    assert types == ["CONV", "F-FC", "none"]


def read_off(figure: Element, style: str) -> list[tuple[float, float]]:
    """The points of a curve in the units of its axes, by the labels of the ticks."""
    texts = figure.all("svg")[0].all("text")
    axes: dict[str, list[tuple[float, float]]] = {"end": [], "middle": []}
    for text in texts:
        axis = text.attributes["text-anchor"]
        place = float(text.attributes["x"]) if axis == "middle" else float(text.attributes["y"]) - 4
        axes[axis].append((place, float(text.text.replace("−", "-"))))

    def value(axis: str, place: float) -> float:
        (p, v), (q, w) = axes[axis][0], axes[axis][-1]
        return v + (place - p) / (q - p) * (w - v)

    dots = figure.all("svg")[0].all("circle", **{"class": style})
    places = [(float(dot.attributes["cx"]), float(dot.attributes["cy"])) for dot in dots]
    lines = figure.all("svg")[0].all("polyline", **{"class": style})
    for line in lines:
        assert line.attributes["points"] == " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return [(value("middle", x), value("end", y)) for x, y in places]


@pytest.mark.parametrize(
    ("number", "style", "expected"),
    [
        (0, "one", [(2, -3.25), (4, -2.5)]),
        (0, "end", [(4, -1.25)]),
        (1, "one", [(2, 50.0), (4, 87.5)]),
        (2, "two", [(1, 2.0), (2, 1.5), (3, 1.0), (4, 0.5)]),
        (2, "one", [(2, 1.6), (4, 1.1)]),
    ],
)
def test_curves_are_the_history(
    page: Element, number: int, style: str, expected: list[tuple[float, float]]
) -> None:
    found = read_off(page.all("figure")[number], style)
    assert [x for x, _ in found] == pytest.approx([x for x, _ in expected], abs=0.02)
    size = max(abs(y) for _, y in expected)
    assert [y for _, y in found] == pytest.approx([y for _, y in expected], abs=0.01 * size)


def test_more_is_higher_and_later_is_further_right(page: Element) -> None:
    rising = page.all("figure")[0].all("circle", **{"class": "one"})
    (x, y), (later, higher) = (
        (float(dot.attributes["cx"]), float(dot.attributes["cy"])) for dot in rising
    )
    assert later > x
    assert higher < y


def test_curves_are_told_in_words(page: Element) -> None:
    words = [e.attributes["aria-label"] for e in page.all("svg", role="img")]
    assert words[0] == (
        "Log evidence in nats per datum. at updates of the priors: from -3.25 at epoch 2 to -2.5 "
        "at epoch 4; in the end: -1.25 at epoch 4."
    )
    assert words[1] == "Test accuracy in %. test: from 50 at epoch 2 to 87.5 at epoch 4."
    names = [[e.text for e in p.all("span")] for p in page.all("p", **{"class": "names"})]
    assert names[2] == ["training", "test", "nats per datum by epoch"]


def test_the_table_is_that_of_the_report(page: Element, report: Report) -> None:
    table = page.all("table")[0]
    cells = [[cell.text for cell in row.all("td")] for row in table.all("tr")[1:]]
    lines = report.to_markdown().splitlines()
    rows = [line for line in lines if line.startswith("| layers")][: len(cells)]
    assert cells == [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert len(table.all("tbody")) == 3
    kept = [row.all("td")[1].text for row in table.all("tr", **{"class": "kept"})]
    assert kept == ["CONV", "F-FC"]


def test_figures_on_top(page: Element, report: Report) -> None:
    tiles = [e.text.split() for e in page.all("div", **{"class": "tile"})]
    gamma = sum(row.effective_parameters for row in (*report.rows, *report.others))
    assert tiles[0] == ["Test", "accuracy87.5", "%", "of", "the", "test", "data"]
    assert "NLL0.500" in tiles[1]
    assert "evidence−1.250" in tiles[2]
    assert tiles[3][-2:] == ["of", f"{report.size:,}"]
    assert f"γ{gamma:.3g}" in tiles[3]


def test_settings_and_environment(page: Element) -> None:
    pairs = dict(
        zip(
            [e.text for d in page.all("dl", **{"class": "pairs"}) for e in d.all("dt")],
            [e.text for d in page.all("dl", **{"class": "pairs"}) for e in d.all("dd")],
            strict=True,
        )
    )
    expected = {"data": "digits & <more>", "lr": "0.005", "update": "MacKay()", "epochs": "4"}
    assert expected.items() <= pairs.items()
    assert pairs["torch"] == torch.__version__
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", pairs["date"])


def test_warnings_are_shown(page: Element, report: Report) -> None:
    (notes,) = page.all("ul", **{"class": "notes"})
    assert [e.text for e in notes.all("li")] == list(report.warnings)


def test_what_is_not_there_is_left_out(build: Build, tmp_path: Path) -> None:
    bare = summary(build([], metrics={}))
    root = Reader(write_page(tmp_path / "bare.html", "Bare", bare)).root
    heads = [e.text for e in root.all("h2")]
    assert heads == ["Other parameters", "This page was written with"]
    assert "open" in root.all("details")[0].attributes
    assert len(root.all("div", **{"class": "tile"})) == 2
    assert not root.all("svg")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_not_finite_are_left_out(
    report: Report, tmp_path: Path, value: float
) -> None:
    rows: list[dict[str, Any]] = [{"epoch": 1, "train_nll": value}, {"epoch": 2, "train_nll": 1.0}]
    root = Reader(write_page(tmp_path / "a.html", "A", report, RunLog({}, tuple(rows)))).root
    (figure,) = root.all("figure")
    assert len(read_off(figure, "two")) == 1


def test_regressions_show_their_error(report: Report, tmp_path: Path) -> None:
    rows = ({"epoch": 1, "train_nll": 2.0, "test_rmse": 0.5},)
    root = Reader(write_page(tmp_path / "a.html", "A", report, RunLog({}, rows))).root
    assert [e.text for e in root.all("h3")] == ["Test error (RMSE)", "Negative log likelihood"]
    assert read_off(root.all("figure")[0], "one") == [(1.0, pytest.approx(0.5, abs=0.01))]


def test_many_points_are_a_line_alone(report: Report, tmp_path: Path) -> None:
    rows = tuple({"epoch": n, "train_nll": 1 / n} for n in range(1, 101))
    root = Reader(write_page(tmp_path / "a.html", "A", report, RunLog({}, rows))).root
    assert not root.all("circle")
    line = root.all("polyline", **{"class": "two"})[0].attributes["points"]
    assert len(line.split()) == 100


def test_reports_write_their_page(report: Report, tmp_path: Path) -> None:
    text = report.to_html(tmp_path / "run.html", "Mine")
    assert len(Reader(text).root.all("figure")) == 3
    assert "log" not in report.record()
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        report.to_html(tmp_path / "file" / "run.html")
