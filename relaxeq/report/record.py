"""Records of experiments: what was run, beside what came out of it."""

import datetime
import json
import os
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from relaxeq.report.files import write_text

Facts = dict[str, Any]
START = time.monotonic()


def run_facts(data: str, settings: Mapping[str, Any]) -> Facts:
    """The command of this process, date (UTC), data, settings, torch's version, threads, minutes.

    Minutes are those of the clock on the wall since the process loaded relaxeq.
    """
    return {
        "command": command_line(),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "data": data,
        "settings": dict(settings),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "minutes": round((time.monotonic() - START) / 60, 1),
    }


def flat_settings(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Names and values, those of settings within settings in the place of these."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat_settings(value)
        else:
            yield name, value


def command_line() -> str:
    """What a reader would type: an installed program by its name, a script by its path."""
    program, arguments = Path(sys.argv[0]), sys.argv[1:]
    if program.suffix != ".py":
        return shlex.join([program.name, *arguments])
    return shlex.join(["python", os.path.relpath(program), *arguments])


def save_record(stem: Path, title: str, facts: Facts, table: str, values: Mapping[str, Any]) -> str:
    """Write facts and values to `stem`.json, facts and table to `stem`.md; return that page.

    Raises CheckpointError if a file cannot be written.
    """
    text = json.dumps(facts | dict(values), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(text + "\n", stem.with_suffix(".json"))
    lines = "".join(f"- {key}: {_plain(value)}\n" for key, value in facts.items())
    return write_text(f"# {title}\n\n{lines}\n{table.rstrip()}\n", stem.with_suffix(".md"))


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(entry)}" for key, entry in value.items())
    if isinstance(value, list | tuple):
        return " ".join(str(entry) for entry in value)
    return str(value)
