"""Writing text and pictures: folders are made, failures are told."""

import os
from collections.abc import Callable
from pathlib import Path

from relaxeq.errors import CheckpointError

PathLike = str | os.PathLike[str]


def write_text(text: str, path: PathLike | None) -> str:
    """Write `text` to `path` unless that is None, and return it."""
    if path is not None:
        written(path, lambda file: file.write_text(text, "utf-8"))
    return text


def written(path: PathLike, write: Callable[[Path], object]) -> None:
    """Make the folder of `path`, `write` a file beside it, and move that there when it is whole."""
    file = Path(path)
    fresh = file.with_name(f".new.{file.name}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(fresh)
            os.replace(fresh, file)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise CheckpointError(
            f"path={str(path)!r} cannot be written: {error}. Free space or choose another path."
        ) from error
