"""The record of a table: a block for every preset and data, to which later runs add seeds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from relaxeq.errors import CheckpointError
from relaxeq.report import write_text
from relaxeq.study import to_json
from relaxeq.tables.results import Results, entry_from

Run = Mapping[str, Any]
"""Facts of one run: command, date, torch, seeds, and how many cells a whole table of them has."""


@final
@dataclass(frozen=True)
class Block:
    """What was found at one preset on the same data with the same settings."""

    preset: str
    data: tuple[str, ...]
    settings: Mapping[str, Any]
    runs: tuple[Run, ...]
    results: Results

    @property
    def cells(self) -> int:
        """How many cells a whole table of these seeds has; `results` may hold fewer so far."""
        newest = self.runs[-1]
        return len(self.results.seeds) * int(newest["cells"]) // len(newest["seeds"])

    def same(self, other: "Block") -> bool:
        """Whether both may share a table."""
        mine, theirs = ((b.preset, b.data, dict(b.settings)) for b in (self, other))
        return mine == theirs

    def merged(self, newer: "Block") -> "Block":
        """The runs and results of both; newer ones replace those of the same cell and seed."""
        runs = [run for run in self.runs if run not in newer.runs]
        results = self.results.merged(newer.results.entries)
        return Block(self.preset, self.data, self.settings, (*runs, *newer.runs), results)

    def record(self) -> dict[str, Any]:
        """The block as JSON values, which `block_from` takes back."""
        return {
            "preset": self.preset,
            "data": list(self.data),
            "settings": dict(self.settings),
            "runs": [dict(run) for run in self.runs],
            "entries": [entry.record() for entry in self.results.entries],
        }


def block_from(values: Mapping[str, Any]) -> Block:
    """The inverse of `Block.record`; the claims beside are judged anew."""
    return Block(
        values["preset"],
        tuple(values["data"]),
        values["settings"],
        tuple(values["runs"]),
        Results(tuple(entry_from(entry) for entry in values["entries"])),
    )


def with_block(blocks: tuple[Block, ...], newer: Block) -> tuple[Block, ...]:
    """The blocks and a newer one, merged into its like, or as the first."""
    if not any(block.same(newer) for block in blocks):
        return (newer, *blocks)
    return tuple(block.merged(newer) if block.same(newer) else block for block in blocks)


def read_blocks(file: Path) -> tuple[Block, ...]:
    """The blocks of a record, none if there is no file. Raises CheckpointError for other files."""
    if not file.exists():
        return ()
    try:
        values = json.loads(file.read_text("utf-8"))
        return tuple(block_from(block) for block in values["blocks"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{str(file)!r} holds no results of a table ({error}): restore it, or choose another "
            "folder of results."
        ) from error


def write_blocks(title: str, blocks: tuple[Block, ...], claims: Any, file: Path) -> None:
    """Write a record that `read_blocks` reads, each block with its claims."""
    records = [
        block.record()
        | {"claims": [{"claim": c.text, "holds": c.holds} for c in claims(block.results)]}
        for block in blocks
    ]
    write_text(to_json({"title": title, "blocks": records}), file)
