"""Run folders: checkpoints without pickle, and one JSON line per epoch."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from relaxeq.errors import CheckpointError
from relaxeq.recipe.result import History

TENSORS, LINES = "checkpoint.safetensors", "history.jsonl"


@final
@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state after some epoch: tensors of network and optimiser, and plain JSON values beside."""

    network: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    state: dict[str, Any]


@final
class RunFolder:
    """A folder with `checkpoint.safetensors` and `history.jsonl`; every write replaces whole files."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._write(lambda: self.path.mkdir(parents=True, exist_ok=True))

    def save(self, checkpoint: Checkpoint, history: History) -> None:
        """Write both files, each whole or not at all.

        The history goes first: stopped in between, the older checkpoint still finds its own rows
        at the head of the newer history.
        """
        tensors = {f"network/{k}": v for k, v in checkpoint.network.items()}
        tensors |= {f"optimizer/{k}": v for k, v in checkpoint.optimizer.items()}
        tensors = {k: v.detach().contiguous().clone() for k, v in tensors.items()}
        meta = {"relaxeq": json.dumps(checkpoint.state)}
        lines = "".join(json.dumps(row) + "\n" for row in history)
        self._write(lambda: self._replace(LINES, lambda p: p.write_text(lines, "utf-8")))
        self._write(lambda: self._replace(TENSORS, lambda p: save_file(tensors, p, meta)))

    def load(self) -> tuple[Checkpoint, History] | None:
        """The last checkpoint and the history up to it, or None in a fresh folder."""
        file = self.path / TENSORS
        if not file.exists():
            return None
        try:
            with safe_open(file, framework="pt") as opened:
                state = json.loads(opened.metadata()["relaxeq"])
                tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
            rows = self._rows(state["epoch"])
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"run_dir={str(self.path)!r} holds a damaged checkpoint ({error}): choose another "
                f"run_dir, or delete {file}."
            ) from error
        network = _part(tensors, "network/")
        return Checkpoint(network, _part(tensors, "optimizer/"), state), rows

    def _rows(self, epochs: int) -> History:
        lines = (self.path / LINES).read_text("utf-8").splitlines()[:epochs]
        if len(lines) < epochs:
            raise ValueError(f"{LINES} has {len(lines)} rows, not {epochs}")
        return [json.loads(line) for line in lines]

    def _replace(self, name: str, write: Any) -> None:
        fresh = self.path / f".{name}.new"
        try:
            write(fresh)
            os.replace(fresh, self.path / name)
        finally:
            fresh.unlink(missing_ok=True)

    def _write(self, action: Any) -> None:
        try:
            action()
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"run_dir={str(self.path)!r} cannot be written: {error}. Free space or choose another "
                "folder; the previous checkpoint is untouched and the run continues from it."
            ) from error


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key[len(prefix) :]: v for key, v in tensors.items() if key.startswith(prefix)}


def network_signature(net: nn.Module) -> str:
    """Names and shapes of the network's state, and the text of its layers."""
    shapes = {key: list(value.shape) for key, value in net.state_dict().items()}
    return json.dumps([type(net).__name__, shapes])


def check_same_run(state: dict[str, Any], expected: dict[str, Any], path: Path) -> None:
    """Refuse to continue a checkpoint of another network or of other settings."""
    for key, value in expected.items():
        if state.get(key) != value:
            shown = "another network" if key == "network" else f"{key}={state.get(key)!r}"
            raise CheckpointError(
                f"run_dir={str(path)!r} holds a run of {shown}, not of this one "
                f"({'its layers differ' if key == 'network' else f'{key}={value!r}'}): choose another "
                "run_dir, or use the settings of that run."
            )


def encode(values: Mapping[str, float]) -> dict[str, float | str]:
    """Precisions as JSON values; ∞ becomes text, since JSON has no such number."""
    return {k: "inf" if math.isinf(v) else v for k, v in values.items()}


def decode(values: Mapping[str, float | str]) -> dict[str, float]:
    return {k: float(v) for k, v in values.items()}
