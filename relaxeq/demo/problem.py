"""The toy problem as a table: three networks, two tasks, both objectives."""

from relaxeq.data import ToyTask
from relaxeq.demo.claims import SPECS, TASKS, claims
from relaxeq.study import Paper, Training
from relaxeq.tables import Preset, Table

PRESETS = {
    "demo": Preset(("digits",), 16, 0.4, 1500, 297, Training(80, lr=0.005, burn_in=0)),
    "long": Preset(("digits",), 16, 0.4, 1500, 297, Training(160, lr=0.005)),
    "quick": Preset(
        ("digits",), 16, 0.1, 200, 100, Training(4, lr=0.005, burn_in=1, update_every=1)
    ),
}
"""Named settings: "demo" is the main job, "long" lets the precisions of F-FC settle too, "quick"
shows in seconds that everything runs. In short runs priors must start early (docs/learning.md)."""


def rows(preset: Preset) -> dict[str, Paper]:
    """The two parents, and the network that may learn to be either."""
    return {spec: Paper(spec, preset.alpha(10)) for spec in SPECS}


def columns(preset: Preset) -> dict[str, ToyTask]:
    """What shifts leave alone, and what they change."""
    return {task: ToyTask(task, preset.train, preset.test) for task in TASKS}


TOY = Table(
    name="demo",
    title="The toy problem: digits in quadrants",
    presets=PRESETS,
    rows=rows,
    columns=columns,
    claims=claims,
    sections=(),
    printed={},
)
