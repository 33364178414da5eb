"""run_table: train the cells of a table, merge what came out into its record, write its page."""

from pathlib import Path

from rich.console import Console

from relaxeq.report import run_facts, write_text
from relaxeq.study import check_cell, check_processes, train_all, train_cell
from relaxeq.tables.blocks import Block, read_blocks, with_block, write_blocks
from relaxeq.tables.page import page
from relaxeq.tables.preset import Preset
from relaxeq.tables.results import Results, entry_of
from relaxeq.tables.table import Table


def run_table(
    table: Table,
    name: str,
    preset: Preset,
    out: Path,
    results: Path,
    jobs: int = 2,
    console: Console | None = None,
) -> Block:
    """Train a table at a preset called `name`, in processes of one thread; return its block.

    Every cell has a folder in `out`, with checkpoints and a JSON line per epoch; finished cells
    are read, stopped ones continue. `results` gets the table's .json, to which earlier runs of the
    same preset, data and settings contribute their seeds, and its .md. Raises SpecError, DataError,
    CheckpointError, and what a training raises; what was trained stays.
    """
    check_processes(jobs)
    file = results / f"{table.stem}.json"
    read_blocks(file)  # a damaged record is told before the work, not after it
    cells = table.cells(preset)
    data = tuple(f"{label}: {t.describe()}" for label, t in table.columns(preset).items())
    todo = sorted((cell.job(out) for cell in cells), key=lambda job: -job.cost)
    for job in todo:
        check_cell(job.run, job.folder)
    outcomes = train_all(todo, train_cell, jobs, console)
    found = {outcome.run: entry_of(outcome) for outcome in outcomes}
    facts = run_facts("", {}) | {"threads": 1, "processes": jobs, "seeds": list(preset.seeds)}
    facts = {key: value for key, value in facts.items() if key not in ("data", "settings")}
    ordered = Results(tuple(found[cell] for cell in cells))
    block = Block(name, data, preset.record(), (facts,), ordered)
    return save_block(table, block, results)


def save_block(table: Table, block: Block, results: Path) -> Block:
    """Merge a block into the record in `results`, and write the page; return the merged block."""
    file = results / f"{table.stem}.json"
    blocks = with_block(read_blocks(file), block)
    write_blocks(table.title, blocks, table.claims, file)
    write_text(page(table, blocks), file.with_suffix(".md"))
    return next(found for found in blocks if found.same(block))
