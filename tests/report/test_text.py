"""Tables as text: what they say, how wide they are, and what they must not hold."""

import io
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from relaxeq.recipe import FitResult
from relaxeq.report import Report, markdown_table, plain, summary
from relaxeq.report.text import figure

Build = Callable[..., FitResult]


@pytest.fixture
def report(build: Build) -> Report:
    off = {"layers.0.paths.FC": math.inf}
    return summary(build([{"FC": 0.002, "CONV": 0.098}, {"CONV": 0.5}], precisions=off))


def test_the_printed_table(report: Report) -> None:
    lines = str(report).splitlines()
    head = "laplace: log evidence -1.2500 nats per datum (100 data), test NLL 0.5000"
    assert lines[0] == f"{head}, test accuracy 87.50 %"
    words = [" ".join(line.split()) for line in lines]
    assert words[2] == "layer path symmetry precision ‖θ‖² γ P γ/P share type"
    assert words[4] == "layers.0 FC none ∞ 0 0.032 16 0.002 2.0 % CONV"
    assert words[5] == "CONV Z2 1 2 0.098 1 0.098 98.0 %"
    assert words[6] == "layers.1 CONV Z2 1 2 0.5 1 0.5 100.0 % CONV"
    assert words[8] == "other parameters precision ‖θ‖² γ P γ/P"
    assert words[10] == "layers.0.bias 1 2 0.5 1 0.5"


def test_it_has_no_colour_codes_and_no_ragged_ends(report: Report) -> None:
    text = str(report)
    assert "\x1b" not in text
    assert text == "\n".join(line.rstrip() for line in text.splitlines())


def test_a_terminal_gets_colours(report: Report) -> None:
    out = io.StringIO()
    Console(file=out, force_terminal=True, color_system="truecolor", width=110).print(report)
    assert "\x1b[" in out.getvalue()


def test_long_names_fold_inside_the_width(report: Report) -> None:
    name = "encoder.stages.3.blocks.11.residual.branch.convolution.symmetric.inner.layers.0"
    rows = tuple(
        replace(row, name=name, path="GCONV[p4m]", symmetry="Z2 ⋊ p4m", size=10**8)
        for row in report.rows
    )
    others = tuple(replace(prior, name=f"{name}.{prior.name}") for prior in report.others)
    text = str(replace(report, rows=rows, others=others))
    assert max(map(len, text.splitlines())) <= 110
    assert "GCONV[p4m]" in text  # not taken for rich's markup
    assert "100,000,000" in text
    joined = "".join(line.split("  ")[0].strip() for line in text.splitlines())
    assert name in joined


def test_warnings_are_printed_below(report: Report) -> None:
    text = str(replace(report, warnings=("Look [here].",)))
    assert text.splitlines()[-1] == "! Look [here]."


def test_figures_that_were_not_taken_are_not_printed(report: Report) -> None:
    without = replace(report, test_nll=None, test_accuracy=None)
    assert without.headline == "laplace: log evidence -1.2500 nats per datum (100 data)"


def test_a_network_without_relaxed_layers(build: Build) -> None:
    text = str(summary(build([])))
    assert "No relaxed layers" in text
    assert "head.weight" in text


def test_markdown_has_every_row_in_full(report: Report) -> None:
    text = replace(report, warnings=("Look here.",)).to_markdown()
    lines = text.splitlines()
    table = [line for line in lines if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    assert {len(line) for line in cells[:5]} == {10}
    assert [line[0] for line in cells[2:5]] == ["layers.0", "layers.0", "layers.1"]
    assert cells[3] == ["layers.0", "CONV", "Z2", "1", "2", "0.098", "1", "0.098", "98.0 %", "CONV"]
    assert cells[1] == ["---"] * 3 + ["---:"] * 6 + ["---"]
    assert lines[-1] == "- Look here."


def test_a_bar_in_a_cell_does_not_break_markdown() -> None:
    assert markdown_table(["a|b"], [["c|d"]]) == "| a\\|b |\n| --- |\n| c\\|d |"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.0, "1"),
        (0.25, "0.25"),
        (123.456, "123"),
        (0.001, "0.001"),
        (0.000999, "1.0e-03"),
        (12345.6, "1.2e+04"),
        (1e16, "1.0e+16"),
        (math.inf, "∞"),
    ],
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    assert figure(value) == text


def test_plain_keeps_to_its_width() -> None:
    assert max(map(len, plain("word " * 60, width=40).splitlines())) <= 40


def test_a_narrow_console_shows_what_it_cuts(report: Report) -> None:
    whole = set(str(report).split())
    lines = plain(report, width=40).splitlines()
    assert max(map(len, lines)) <= 40
    table = [line for line in lines if line.lstrip().startswith(("FC", "CONV")) or "…" in line]
    assert any("…" in line for line in table)
    cells = {cell for line in table for cell in line.split() if not cell.endswith("…")}
    assert {cell for cell in cells if cell[0].isdigit()} <= whole
