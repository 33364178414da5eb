"""The paper's tables as programs: frozen settings, a command, a record that later runs add to."""

from relaxeq.tables.blocks import Block, read_blocks
from relaxeq.tables.claims import BLIND, as_good_as_the_best
from relaxeq.tables.group_study import GROUP_STUDY
from relaxeq.tables.page import page, terminal
from relaxeq.tables.preset import Preset
from relaxeq.tables.program import record_finished, run_table, save_block, train_table
from relaxeq.tables.results import Entry, Key, Results, entry_of, results_of
from relaxeq.tables.sections import layers
from relaxeq.tables.table import Table
from relaxeq.tables.table1 import TABLE1
from relaxeq.tables.table2 import TABLE2
from relaxeq.tables.table3 import TABLE3
from relaxeq.tables.table4 import TABLE4
from relaxeq.tables.table7 import TABLE7

TABLES = {table.name: table for table in (TABLE1, TABLE2, TABLE3, TABLE4, TABLE7, GROUP_STUDY)}

__all__ = [
    "BLIND",
    "TABLES",
    "Block",
    "Entry",
    "Key",
    "Preset",
    "Results",
    "Table",
    "as_good_as_the_best",
    "entry_of",
    "layers",
    "page",
    "read_blocks",
    "record_finished",
    "results_of",
    "run_table",
    "save_block",
    "terminal",
    "train_table",
]
