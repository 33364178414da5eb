"""Run folders: checkpoints without pickle, and one JSON line per epoch."""

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, final

from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from relaxeq.errors import CheckpointError
from relaxeq.paths import GaussianModule
from relaxeq.recipe.priors import PriorGroup
from relaxeq.recipe.result import History

TENSORS, LINES, LOCK = "checkpoint.safetensors", "history.jsonl", ".lock"


@final
@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state after an epoch: tensors of network and optimiser, and plain JSON values beside."""

    network: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    state: dict[str, Any]


@final
class RunFolder:
    """A folder with `checkpoint.safetensors` and `history.jsonl`, each replaced as a whole."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._write(lambda: self.path.mkdir(parents=True, exist_ok=True))
        self._write(lambda: TemporaryFile(dir=self.path).close())  # told now, not after an epoch

    @contextmanager
    def locked(self) -> Iterator["RunFolder"]:
        """The folder for one run alone, or CheckpointError; a process that ends lets it go."""
        lock = FileLock(self.path / LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise CheckpointError(
                f"run_dir={str(self.path)!r} is in use by another run: wait until it ends, or "
                "choose another run_dir."
            ) from error
        except (OSError, NotImplementedError):
            pass  # a file system without locks
        try:
            yield self
        finally:
            if lock.is_locked:  # no trace is left, and while it is held nobody else has it
                with suppress(OSError):
                    (self.path / LOCK).unlink()
            lock.release()

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
        self._write(lambda: self._replace(TENSORS, lambda p: self._save(tensors, p, meta)))

    def load(self) -> tuple[Checkpoint, History] | None:
        """The last checkpoint and the history up to it, or None in a fresh folder."""
        file = self.path / TENSORS
        if not file.exists():
            return None
        try:
            with _opened(file) as opened:
                state = json.loads(opened.metadata()["relaxeq"])
                tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
            rows = self._rows(state["epoch"])
        except PermissionError as error:
            raise _unreadable(self.path, error) from error
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

    def _save(self, tensors: dict[str, Tensor], path: Path, meta: dict[str, str]) -> None:
        save_file(tensors, path, meta)
        path.chmod((self.path / LINES).stat().st_mode)  # save_file hides it from other users

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
            held = (self.path / TENSORS).exists()
            kept = "; the previous checkpoint is kept, and the run continues from it" * held
            raise CheckpointError(
                f"run_dir={str(self.path)!r} cannot be written: {error}. Free space or choose "
                f"another folder{kept}."
            ) from error


def read_run(path: str | os.PathLike[str]) -> tuple[dict[str, Any], History]:
    """The settings and the epochs of a run folder, without its tensors; empty if it holds no run.

    Settings are objective, epochs, count and the options of the fit. Raises CheckpointError if the
    folder is damaged.
    """
    folder = Path(path)
    if not (folder / TENSORS).exists():
        return {}, []
    try:
        with _opened(folder / TENSORS) as opened:
            state = json.loads(opened.metadata()["relaxeq"])
        rows = [json.loads(line) for line in (folder / LINES).read_text("utf-8").splitlines()]
        settings = {key: state[key] for key in ("objective", "epochs", "count", "options")}
        return settings, rows[: state["epoch"]]
    except PermissionError as error:
        raise _unreadable(folder, error) from error
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"run_dir={str(folder)!r} holds a damaged run ({error}): delete it, and train again."
        ) from error


def _opened(file: Path) -> Any:
    file.open("rb").close()  # safetensors says "No such file" where reading is not permitted
    return safe_open(file, framework="pt")


def _unreadable(path: Path, error: PermissionError) -> CheckpointError:
    return CheckpointError(
        f"run_dir={str(path)!r} holds a run that cannot be read: {error}. Ask for permission, or "
        "choose another run_dir."
    )


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key[len(prefix) :]: v for key, v in tensors.items() if key.startswith(prefix)}


def network_signature(net: nn.Module, groups: Iterable[PriorGroup]) -> str:
    """What makes a network the same to a checkpoint, as text.

    Names, shapes and dtypes of its state, the text of its layers, which parameters are trained and
    which of them share a prior. A path shows its σ², which is learned, so its text is left out.
    """
    state = {k: [str(v.dtype), *v.shape] for k, v in net.state_dict().items()}
    layers = [[name, type(m).__name__, _text(m)] for name, m in net.named_modules()]
    trained = [name for name, p in net.named_parameters() if p.requires_grad]
    return json.dumps([state, layers, trained, [[g.name, g.parameters] for g in groups]])


def _text(module: nn.Module) -> str:
    return "" if isinstance(module, GaussianModule) else module.extra_repr()


def check_same_run(state: dict[str, Any], expected: dict[str, Any], path: Path) -> None:
    """Refuse to continue a checkpoint of another network or of other settings."""
    for key, value in expected.items():
        if state.get(key) == value:
            continue
        held, wanted = _differing({key: state.get(key)}, {key: value})
        if key == "network":
            held, wanted = "another network", "its layers, parameters or priors differ"
        elif isinstance(state.get(key), dict):
            held, wanted = _differing(state[key], value)
        raise CheckpointError(
            f"run_dir={str(path)!r} holds a run of {held}, not of this one ({wanted}): choose "
            "another run_dir, or use the settings of that run."
        )


def _differing(held: dict[str, Any], wanted: dict[str, Any]) -> tuple[str, str]:
    names = [name for name in held | wanted if held.get(name) != wanted.get(name)]
    texts = [", ".join(f"{n}={each.get(n)!r}" for n in names) for each in (held, wanted)]
    return texts[0], texts[1]


def check_same_priors(
    state: dict[str, Any], given: Mapping[str, float], path: Path
) -> dict[str, float]:
    """The initial precisions of the run; the given ones must be those, or those it has learned."""
    initial, learned = decode(state["initial"]), decode(state["precisions"])
    for name, value in given.items():
        if not (value == initial[name] or math.isclose(value, learned[name], rel_tol=1e-12)):
            raise CheckpointError(
                f"run_dir={str(path)!r} holds a run in which the prior precision of {name!r} began "
                f"at {initial[name]:g}, not at {value:g}: choose another run_dir, or that "
                "prior_variance."
            )
    return initial


def encode(values: Mapping[str, float]) -> dict[str, float | str]:
    """Precisions as JSON values; ∞ becomes text, since JSON has no such number."""
    return {k: "inf" if math.isinf(v) else v for k, v in values.items()}


def decode(values: Mapping[str, float | str]) -> dict[str, float]:
    """The inverse of `encode`."""
    return {k: float(v) for k, v in values.items()}
