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
    """Make the folder of `path`, `write` a file beside it, and move that there when it is whole.

    Links are followed; what is no regular file, such as a pipe or a device, is written as it is.
    """
    file = Path(os.path.realpath(path))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists() and not file.is_file():
            write(file)
        else:
            _replace(file, write)
    except OSError as error:
        raise CheckpointError(
            f"path={str(path)!r} cannot be written: {error}. Free space or choose another path."
        ) from error


def _replace(file: Path, write: Callable[[Path], object]) -> None:
    fresh = file.with_name(f".new.{file.name}")
    try:
        write(fresh)
        os.replace(fresh, file)
    finally:
        fresh.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Make the folder and write in it, or raise CheckpointError: before the work, not after it."""
    probe = folder / ".probe"
    write_text("", probe)
    probe.unlink()
