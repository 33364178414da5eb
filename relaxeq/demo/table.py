"""Table 1 for terminals and documents: three layers, two objectives, two tasks."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from relaxeq.demo.claims import claims
from relaxeq.demo.problem import TOY
from relaxeq.report import bare_table, markdown_table
from relaxeq.study import MEASURES, SHOWN, claims_list, claims_markdown
from relaxeq.tables import Results, layers


def columns(results: Results) -> list[tuple[str, str]]:
    """(objective, spec) of each column."""
    return [(objective, spec) for objective in results.objectives for spec in results.rows]


def sections(results: Results) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """Each measure with its rows: the task, then one text per column."""
    for measure in MEASURES:
        yield measure, [(task, *_texts(results, measure, task)) for task in results.columns]
    yield "parameters", [(task, *_sizes(results, task)) for task in results.columns]


def _texts(results: Results, measure: str, task: str) -> Iterator[str]:
    several = len(results.seeds) > 1
    digits = 1 if "%" in measure else 2 if several else 3
    for objective, spec in columns(results):
        figure = results.figure(measure, (spec, task, objective))
        yield "" if figure is None else figure.text(digits, several)


def _sizes(results: Results, task: str) -> Iterator[str]:
    for _, spec in columns(results):
        size = results.parameters(spec, task)
        yield "" if size is None else f"{size:,}"


def terminal(results: Results) -> RenderableType:
    """Table 1 and the claims, for a rich console."""
    table = bare_table()
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
    parts = [markdown_table(head, lines), layers(TOY, results), claims_markdown(claims(results))]
    return "\n\n".join(part for part in parts if part).rstrip() + "\n"
