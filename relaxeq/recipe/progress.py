"""Progress on the terminal: epoch, time left, and the latest figures."""

import sys
from types import TracebackType
from typing import Any, final

from rich import progress as bars
from rich.console import Console


@final
class Progress:
    """A bar per fit on standard error; silent where that is no terminal, or when not wanted."""

    def __init__(self, epochs: int, done: int, wanted: bool) -> None:
        console = Console(stderr=True)
        self._bars = bars.Progress(
            bars.TextColumn("epoch"),
            bars.MofNCompleteColumn(),
            bars.BarColumn(),
            bars.TimeRemainingColumn(),
            bars.TextColumn("{task.fields[figures]}"),
            console=console,
            disable=not (wanted and sys.stderr.isatty()),
            transient=True,
        )
        self._task = self._bars.add_task("fit", total=epochs, completed=done, figures="")
        self._seen: dict[str, float] = {}

    def __enter__(self) -> "Progress":
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def advance(self, row: dict[str, Any]) -> None:
        """One epoch more, with its row of the history."""
        shown = ("train_nll", "evidence", "test_accuracy")
        self._seen |= {key: row[key] for key in shown if key in row}
        figures = "  ".join(f"{key} {value:.3f}" for key, value in self._seen.items())
        self._bars.update(self._task, advance=1, figures=figures)
