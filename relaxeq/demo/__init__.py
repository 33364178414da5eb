"""The main job: learn layer-wise symmetry from real digits (§6.1, Tables 1 and 4)."""

from relaxeq.demo.claims import Claim, claims
from relaxeq.demo.config import PRESETS, DemoConfig, Run
from relaxeq.demo.demo import run_demo
from relaxeq.demo.outcome import Outcome
from relaxeq.demo.results import Results
from relaxeq.demo.saving import table1_record, to_json
from relaxeq.demo.table import markdown, terminal

__all__ = [
    "PRESETS",
    "Claim",
    "DemoConfig",
    "Outcome",
    "Results",
    "Run",
    "claims",
    "markdown",
    "run_demo",
    "table1_record",
    "terminal",
    "to_json",
]
