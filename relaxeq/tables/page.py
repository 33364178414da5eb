"""The page of a table: a section for every block, with its claims."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.markdown import Markdown
from rich.text import Text

from relaxeq.report import flat_settings
from relaxeq.study import claims_list, claims_markdown
from relaxeq.tables.blocks import Block
from relaxeq.tables.table import Table


def page(table: Table, blocks: tuple[Block, ...]) -> str:
    """Markdown of all blocks."""
    parts = [f"# {table.title}", *(_section(table, block) for block in blocks)]
    picture = table.picture
    if picture is not None and blocks and picture.draw(blocks[0].results) is not None:
        parts.insert(1, f"![{picture.caption}]({picture.name})")
    return "\n\n".join(parts) + "\n"


def _section(table: Table, block: Block) -> str:
    head = f"## Preset {block.preset}: {', '.join(block.results.columns)}"
    facts = "\n".join(f"- {line}" for line in _facts(block))
    parts = [found for make in table.sections if (found := make(table, block.results))]
    marks = claims_markdown(table.claims(block.results))
    return "\n\n".join([head, facts, *parts, marks])


def _facts(block: Block) -> Iterator[str]:
    for line in block.data:
        yield f"data: {line}"
    yield "settings: " + ", ".join(f"{key} {value}" for key, value in flat_settings(block.settings))
    entries = block.results.entries
    minutes = sum(entry.seconds for entry in entries) / 60
    seeds = ", ".join(map(str, block.results.seeds))
    yield f"seeds: {seeds}; {minutes:.0f} minutes of one thread in all"
    if len(entries) < block.cells:
        yield f"unfinished: {len(entries)} of {block.cells} cells so far"
    for run in block.runs:
        yield f"{run['date']}: `{run['command']}`, torch {run['torch']}"


def terminal(table: Table, block: Block) -> RenderableType:
    """The block's parts and claims, for a rich console."""
    parts = [found for make in table.sections if (found := make(table, block.results))]
    head = Text(table.title, style="bold")
    return Group(head, *map(Markdown, parts), Text(), claims_list(table.claims(block.results)))
