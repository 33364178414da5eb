"""Table 1 for terminals and documents: three layers, two objectives, two tasks."""

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from relaxeq.demo.claims import claims
from relaxeq.demo.results import Results
from relaxeq.report import markdown_table
from relaxeq.study import MEASURES, SHOWN, claims_list, claims_markdown


def columns(results: Results) -> list[tuple[str, str]]:
    """(objective, spec) of each column."""
    config = results.config
    return [(objective, spec) for objective in config.objectives for spec in config.specs]


def sections(results: Results) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """Each measure with its rows: the task, then one text per column."""
    several = len(results.config.seeds) > 1
    for measure in MEASURES:
        digits = 1 if "%" in measure else 2 if several else 3
        rows = [
            (
                task,
                *(
                    results.figure(measure, task, spec, objective).text(digits, several)
                    for objective, spec in columns(results)
                ),
            )
            for task in results.config.tasks
        ]
        yield measure, rows
    yield "parameters", [_sizes(results, task) for task in results.config.tasks]


def _sizes(results: Results, task: str) -> tuple[str, ...]:
    return task, *(f"{results.size(task, spec):,}" for _, spec in columns(results))


def terminal(results: Results) -> RenderableType:
    """Table 1 and the claims, for a rich console."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column()
    for objective, spec in columns(results):
        table.add_column(f"{SHOWN.get(objective, objective)}\n{spec}", justify="right")
    for title, rows in sections(results):
        table.add_row(Text(title, style="bold"))
        for number, row in enumerate(rows):
            table.add_row(f"  {row[0]}", *row[1:], end_section=number + 1 == len(rows))
    return Group(table, Text(), claims_list(claims(results)))


def markdown(results: Results) -> str:
    """Table 1, the learned shares and the claims as markdown."""
    head = ["", *(f"{SHOWN.get(o, o)} {spec}" for o, spec in columns(results))]
    lines = [
        (f"{task}: {title}", *cells) for title, rows in sections(results) for task, *cells in rows
    ]
    parts = [markdown_table(head, lines), *_shares_tables(results)]
    return "\n\n".join([*parts, claims_markdown(claims(results))]).rstrip() + "\n"


def _shares_tables(results: Results) -> Iterator[str]:
    several = len(results.config.seeds) > 1
    for task in results.config.tasks:
        learned = results.learned(task)
        paths = list(dict.fromkeys(row.path for outcome in learned for row in outcome.report.rows))
        figures = {path: results.shares(task, path) for path in paths}
        rows = [
            (
                f"{layer}",
                *(figures[path][layer].percent.text(1, several) for path in paths),
            )
            for layer in range(len(next(iter(figures.values()), [])))
        ]
        if rows:
            yield markdown_table([f"{task}: layer", *(f"{path} (%)" for path in paths)], rows)
