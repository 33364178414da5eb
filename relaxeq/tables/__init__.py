"""The paper's tables as programs: frozen settings, a command, a record that later runs add to."""

from relaxeq.tables.blocks import Block, read_blocks
from relaxeq.tables.group_study import GROUP_STUDY
from relaxeq.tables.page import page, terminal
from relaxeq.tables.preset import Preset
from relaxeq.tables.program import run_table, save_block
from relaxeq.tables.results import Entry, Results
from relaxeq.tables.table import Table
from relaxeq.tables.table1 import TABLE1

TABLES = {table.name: table for table in (TABLE1, GROUP_STUDY)}

__all__ = [
    "TABLES",
    "Block",
    "Entry",
    "Preset",
    "Results",
    "Table",
    "page",
    "read_blocks",
    "run_table",
    "save_block",
    "terminal",
]
