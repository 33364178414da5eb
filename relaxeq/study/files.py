"""JSON of studies, and the settings that a folder of runs holds."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from relaxeq.errors import CheckpointError
from relaxeq.report import write_text


def to_json(value: Any) -> str:
    """Indented JSON that ends with a line."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


SETTINGS = "settings.json"


def read_settings(folder: Path) -> dict[str, Any]:
    """What a folder of runs says of its settings; nothing if it does not, as after a mere fit.

    Raises CheckpointError for a damaged file.
    """
    file = folder / SETTINGS
    if not file.exists():
        return {}
    return _read(file)


def check_settings(settings: dict[str, Any], file: Path, name: str) -> None:
    """Write the settings of a folder into `file`, or refuse a folder that holds other ones.

    `name` is the argument that an error tells to change. Raises CheckpointError for a damaged file.
    """
    wanted = json.dumps(settings) + "\n"
    if not file.exists():
        write_text(wanted, file)
    elif (found := _read(file)) != json.loads(wanted):
        raise CheckpointError(
            f"{name}={str(file.parent)!r} holds runs with other settings"
            f"{_difference(found, settings)}: choose another folder, or delete that one."
        )


@contextmanager
def unclaimed_if_nothing_came(file: Path) -> Iterator[None]:
    """Take the settings of a folder back if an error leaves nothing beside them.

    A folder in which nothing was trained, after a typing error say, then takes any others.
    """
    try:
        yield
    except BaseException:
        if file.exists() and list(file.parent.iterdir()) == [file]:
            file.unlink()
        raise


def _read(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text("utf-8")))
    except (OSError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{str(file)!r} is damaged ({error}): restore it, or delete it to go without; what was "
            "trained beside it stays."
        ) from error


def _difference(theirs: dict[str, Any], ours: dict[str, Any]) -> str:
    unequal = [key for key in ours if theirs.get(key) != ours[key]]
    return "".join(f", {key}={theirs.get(key)!r} and not {ours[key]!r}" for key in unequal)
