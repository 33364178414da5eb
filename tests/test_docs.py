"""README and docs: their code runs, their commands exist, their links and files are there."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from relaxeq.cli.app import app
from relaxeq.paths import PATHS

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def blocks(page: Path, *languages: str) -> Iterator[tuple[int, str]]:
    """Line number and text of each block in one of the languages."""
    text = page.read_text("utf-8")
    for found in FENCE.finditer(text):
        if found[1] in languages:
            yield text[: found.start(2)].count("\n"), found[2]


@pytest.fixture
def known_paths() -> Iterator[None]:
    """Forget the paths that a page adds."""
    before = dict(PATHS)
    yield
    PATHS.clear()
    PATHS.update(before)


def run(page: Path) -> dict[str, Any]:
    """Run the page's blocks from top to bottom; what they leave."""
    namespace: dict[str, Any] = {"__name__": page.stem}
    for line, code in blocks(page, "python"):
        exec(compile("\n" * line + code, str(page), "exec"), namespace)
    return namespace


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda page: page.name)
def test_a_pages_code_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known_paths: None
) -> None:
    monkeypatch.chdir(tmp_path)
    run(page)


def test_the_readmes_code_runs_and_prints_what_it_shows(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    known_paths: None,
) -> None:
    monkeypatch.chdir(tmp_path)
    report = run(README)["report"]
    (shown,) = (text for _, text in blocks(README, "text") if "γ/P" in text)
    printed = capsys.readouterr().out.splitlines()
    assert shape_of(printed[: len(shown.splitlines())]) == shape_of(shown.splitlines())
    assert report.evidence == pytest.approx(float(shown.split()[3]), abs=0.2)
    fc, conv = report.rows
    assert fc.precision > 100 * conv.precision
    assert conv.share > 0.85
    assert (tmp_path / "layer.png").exists()


def test_the_readmes_first_example_has_fifteen_lines_at_most() -> None:
    _, code = next(blocks(README, "python"))
    assert len([line for line in code.splitlines() if line]) <= 15


def shape_of(lines: list[str]) -> list[list[str]]:
    """The words of a table without its figures, which differ a little between machines."""
    words = [line.split() for line in lines]
    return [[word for word in line if not re.match(r"^[-─\d]", word)] for line in words]


def test_the_readmes_table_is_the_record() -> None:
    cells = json.loads((ROOT / "experiments/results/demo.json").read_text("utf-8"))["table1"]
    found = {(c["task"], c["objective"], c["spec"]): c for c in cells}
    table = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in README.read_text("utf-8").splitlines()
        if line.startswith("|") and ("MAP F-FC" in line or "±" in line)
    ]
    columns = [tuple(name.lower().split(" ", 1)) for name in table[0][1:]]
    assert len(table) == 5
    for title, *figures in table[1:]:
        task, measure = title.split(": ")
        digits = 1 if "%" in measure else 2
        for (objective, spec), figure in zip(columns, figures, strict=True):
            values = found[task, objective, spec.upper()][measure]
            expected = [round(values[key], digits) for key in ("mean", "std")]
            assert [float(part) for part in figure.split("±")] == expected


@pages
def test_its_commands_exist(page: Path) -> None:
    group = typer.main.get_command(app)
    for _, text in blocks(page, "sh"):
        for line in text.splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["relaxeq"]:
                with group.make_context("relaxeq", words[1:]) as context:
                    name, command, rest = group.resolve_command(context, words[1:])
                    command.make_context(name, rest, parent=context).close()
            elif words[:1] == ["make"]:
                targets = (ROOT / "Makefile").read_text("utf-8")
                assert re.search(rf"^{words[1]}:", targets, re.MULTILINE)
            else:
                assert words[:1] in ([], ["pip"])


@pages
def test_its_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text("utf-8"))
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if not target.startswith("https://"):
            assert (page.parent / target.partition("#")[0]).exists(), target


def test_fences_are_all_read() -> None:
    """No block hides behind another way of writing it."""
    for page in PAGES:
        marks = page.read_text("utf-8").count("```")
        assert marks == 2 * len(list(FENCE.finditer(page.read_text("utf-8")))), page
