"""Which group is it? Data of a known symmetry, and a layer that offers five: not in the paper."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from torch import nn

from relaxeq.data import Sets
from relaxeq.data.symmetric import GROUP, PATHS, SymmetricTask
from relaxeq.evidence import MacKay
from relaxeq.fields import Field
from relaxeq.groups import planar
from relaxeq.layers import RelaxedLayer
from relaxeq.study import EVIDENCE, Claim, Network, Training
from relaxeq.tables.preset import Preset
from relaxeq.tables.results import Results
from relaxeq.tables.sections import layers, scores
from relaxeq.tables.table import Table

ALL = "all five"
SPEC = "+".join(PATHS.values())
NAMES = {
    "none": "none",
    "Z2": "Z2",
    "p2": "Z2 ⋊ C2",
    "p4": "Z2 ⋊ C4",
    "p4m": "Z2 ⋊ D4",
}


@final
@dataclass(frozen=True)
class OneLayer(Network):
    """A relaxed layer from a regular field of Z2 ⋊ D4 to another, with a path per symmetry."""

    spec: str = SPEC

    def build(self, sets: Sets) -> nn.Module:
        field = Field(planar(GROUP), 1, sets.size)
        return nn.Sequential(RelaxedLayer(field, field, self.spec, filters="full"), nn.Flatten())

    @property
    def cost(self) -> float:
        return float(len(self.spec.split("+")))


def _training(epochs: int, burn_in: int = 5) -> Training:
    return Training(
        epochs, 0.02, burn_in=burn_in, update_every=1, update=MacKay(), likelihood="regression"
    )


PRESETS = {
    "smoke": Preset(("made",), 4, 1.0, 100, 50, _training(3, 1)),
    "cpu": Preset(("made",), 4, 1.0, 500, 200, _training(300), (0, 1, 2)),
    "paper": Preset(("made",), 8, 1.0, 4000, 2000, _training(600), (0, 1, 2, 3, 4)),
}


def rows(preset: Preset) -> dict[str, OneLayer]:
    """The layer that offers all, and a layer of each path alone."""
    return {ALL: OneLayer()} | {path: OneLayer(path) for path in PATHS.values()}


def columns(preset: Preset) -> dict[str, SymmetricTask]:
    """A task per symmetry."""
    assert preset.train is not None
    assert preset.test is not None
    return {
        shown: SymmetricTask(name, preset.size, preset.train, preset.test)
        for name, shown in NAMES.items()
    }


def claims(results: Results) -> tuple[Claim, ...]:
    """The evidence finds the data's symmetry, by the layer's shares and among single paths."""
    found = [c for name in NAMES for judge in (_turned, _preferred) for c in judge(results, name)]
    return tuple(found)


def _turned(results: Results, name: str) -> Iterator[Claim]:
    entries = results.cell((ALL, NAMES[name], "laplace"))
    if entries:
        types = [entry.report.rows[0].layer_type for entry in entries]
        right = sum(kind == PATHS[name] for kind in types)
        text = f"{NAMES[name]}: the layer turns {PATHS[name]} for {right} of {len(types)} seeds"
        others = sorted(set(types) - {PATHS[name]})
        yield Claim(f"{text}{', else ' + ', '.join(others) if others else ''}", right == len(types))


def _preferred(results: Results, name: str) -> Iterator[Claim]:
    keys = {path: (path, NAMES[name], "laplace") for path in PATHS.values()}
    means = {path: results.mean(EVIDENCE, key) for path, key in keys.items()}
    known = {path: mean for path, mean in means.items() if mean is not None}
    if len(known) == len(means):
        best = max(known, key=known.__getitem__)
        text = f"{NAMES[name]}: of single paths the evidence prefers {PATHS[name]}"
        if best != PATHS[name]:
            text += f" ({known[PATHS[name]]:.3f}), but here {best} ({known[best]:.3f})"
        yield Claim(text, best == PATHS[name])


GROUP_STUDY = Table(
    name="groups",
    title="Which group is it? A layer that offers five, on data of a known symmetry",
    presets=PRESETS,
    rows=rows,
    columns=columns,
    claims=claims,
    sections=(scores, layers),
    printed={},
    objectives=("laplace",),
    known=("made",),
)
