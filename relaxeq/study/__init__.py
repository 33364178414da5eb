"""Studies: many trainings at once, that resume, with one display, and figures over their seeds."""

from relaxeq.study.cell import Cell, check_cell, check_device, check_seed, fit_cell, train_cell
from relaxeq.study.claims import Claim, claims_list, claims_markdown
from relaxeq.study.figures import (
    ACCURACY,
    EVIDENCE,
    MEASURES,
    NLL,
    SHOWN,
    Figure,
    figure_of,
)
from relaxeq.study.files import check_settings, read_settings, to_json
from relaxeq.study.job import Job
from relaxeq.study.network import FromFile, Network, Paper
from relaxeq.study.outcome import (
    PAGE,
    REPORT,
    Outcome,
    is_finished,
    read_outcome,
    write_outcome,
)
from relaxeq.study.plainly import warn_plainly
from relaxeq.study.running import check_processes, train_all
from relaxeq.study.training import Training

__all__ = [
    "ACCURACY",
    "EVIDENCE",
    "MEASURES",
    "NLL",
    "PAGE",
    "REPORT",
    "SHOWN",
    "Cell",
    "Claim",
    "Figure",
    "FromFile",
    "Job",
    "Network",
    "Outcome",
    "Paper",
    "Training",
    "check_cell",
    "check_device",
    "check_processes",
    "check_seed",
    "check_settings",
    "claims_list",
    "claims_markdown",
    "figure_of",
    "fit_cell",
    "is_finished",
    "read_outcome",
    "read_settings",
    "to_json",
    "train_all",
    "train_cell",
    "warn_plainly",
    "write_outcome",
]
