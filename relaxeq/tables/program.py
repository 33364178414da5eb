"""run_table: train the cells of a table, merge what came out into its record, write its page."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from rich.console import Console

from relaxeq.errors import CheckpointError
from relaxeq.report import check_writable, run_facts, save_figure, write_text
from relaxeq.study import (
    Cell,
    Outcome,
    check_cell,
    check_device,
    check_processes,
    is_finished,
    read_outcome,
    train_all,
    train_cell,
)
from relaxeq.tables.blocks import Block, read_blocks, with_block, write_blocks
from relaxeq.tables.page import page
from relaxeq.tables.preset import Preset
from relaxeq.tables.results import results_of
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
    read_blocks(_record(table, results))  # what is damaged is told before the work, not after it
    check_writable(results)
    outcomes = train_table(table, preset, out, jobs, console)
    return _save(table, name, preset, outcomes, results)


def train_table(
    table: Table, preset: Preset, out: Path, jobs: int = 2, console: Console | None = None
) -> tuple[Outcome[Cell], ...]:
    """The outcomes of all cells in the table's order, trained in `out` as `run_table` says."""
    check_processes(jobs)
    check_device(preset.device)
    todo = sorted((cell.job(out) for cell in table.cells(preset)), key=lambda job: -job.cost)
    for job in todo:
        check_cell(job.run, job.folder)
    outcomes = train_all(todo, partial(train_cell, device=preset.device), jobs, console)
    found = {outcome.run: outcome for outcome in outcomes}
    return tuple(found[cell] for cell in table.cells(preset))


def record_finished(table: Table, name: str, preset: Preset, out: Path, results: Path) -> Block:
    """Train nothing: the block of those cells in `out` that are finished, merged and written.

    So a stopped table shows what it has; `run_table` adds the rest later. Raises CheckpointError,
    also when there is nothing.
    """
    found = [cell.job(out) for cell in table.cells(preset) if is_finished(out / cell.name)]
    if not found:
        raise CheckpointError(f"out={str(out)!r} holds no finished run of {table.title!r}: train.")
    for job in found:
        check_cell(job.run, job.folder)
    outcomes = [read_outcome(job.run, job.folder) for job in found]
    return _save(table, name, preset, outcomes, results)


def _save(
    table: Table, name: str, preset: Preset, outcomes: Iterable[Outcome[Cell]], results: Path
) -> Block:
    kept = ("command", "date", "torch")
    facts = {key: value for key, value in run_facts("", {}).items() if key in kept}
    data = tuple(f"{label}: {t.describe()}" for label, t in table.columns(preset).items())
    facts |= {"seeds": list(preset.seeds), "cells": len(table.cells(preset))}
    block = Block(name, data, preset.record(), (facts,), results_of(outcomes))
    return save_block(table, block, results)


def _record(table: Table, results: Path) -> Path:
    return results / f"{table.stem}.json"


def save_block(table: Table, block: Block, results: Path) -> Block:
    """Merge a block into the record in `results`, write page and picture; return that block."""
    file = _record(table, results)
    blocks = with_block(read_blocks(file), block)
    write_blocks(table.title, blocks, table.claims, file)
    write_text(page(table, blocks), file.with_suffix(".md"))
    drawn = None if table.picture is None else table.picture.draw(blocks[0].results)
    if table.picture is not None and drawn is not None:
        save_figure(drawn, results / table.picture.name)
    return next(found for found in blocks if found.same(block))
