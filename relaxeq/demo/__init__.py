"""The main job: learn layer-wise symmetry from real digits (§6.1, Tables 1 and 4)."""

from relaxeq.demo.claims import claims
from relaxeq.demo.demo import run_demo
from relaxeq.demo.problem import PRESETS, TOY
from relaxeq.demo.saving import table1_record
from relaxeq.demo.table import markdown, terminal

__all__ = [
    "PRESETS",
    "TOY",
    "claims",
    "markdown",
    "run_demo",
    "table1_record",
    "terminal",
]
