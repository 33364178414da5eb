"""Progress: a bar on a terminal, silence elsewhere, and the cursor given back."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from torch import Tensor, nn

from relaxeq.recipe import Options, fit
from relaxeq.recipe.progress import Progress

Pair = tuple[Tensor, Tensor]
MakeOptions = Callable[..., Options]
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Standard error on a pseudo-terminal; the function gives what has been shown there."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    reader, writer = os.openpty()
    os.set_blocking(reader, False)

    def shown() -> str:
        found = b""
        try:
            while chunk := os.read(reader, 65536):
                found += chunk
        except (BlockingIOError, OSError):
            pass
        return found.decode()

    with os.fdopen(writer, "w") as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        yield shown
    os.close(reader)


@pytest.mark.parametrize("progress", [True, False])
def test_there_is_silence_where_there_is_no_terminal(
    progress: bool,
    points: Pair,
    line: Callable[[], nn.Linear],
    options: MakeOptions,
    capfd: pytest.CaptureFixture[str],
) -> None:
    fit(line(), [points], [points], 3, options=options(progress=progress))
    assert capfd.readouterr() == ("", "")


def test_a_terminal_shows_epochs_and_figures(
    monkeypatch: pytest.MonkeyPatch,
    points: Pair,
    line: Callable[[], nn.Linear],
    options: MakeOptions,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with terminal(monkeypatch) as shown:
        result = fit(line(), [points], [points], 4, options=options(progress=True))
        text = shown()
    last = result.history[-1]
    assert "4/4" in text
    for key in ("train_nll", "evidence", "test_accuracy"):
        assert f"{key} {last[key]:.3f}" in text
    assert capfd.readouterr().out == ""


def test_a_terminal_stays_silent_where_no_progress_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
    points: Pair,
    line: Callable[[], nn.Linear],
    options: MakeOptions,
) -> None:
    with terminal(monkeypatch) as shown:
        fit(line(), [points], epochs=2, options=options(progress=False))
        assert shown() == ""


def test_an_error_gives_the_cursor_back(
    monkeypatch: pytest.MonkeyPatch, points: Pair, options: MakeOptions
) -> None:
    class Failing(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                raise KeyboardInterrupt
            return super().forward(x)

    with terminal(monkeypatch) as shown:
        with pytest.raises(KeyboardInterrupt):
            fit(Failing(2, 2), [points], epochs=2, options=options(progress=True))
        text = shown()
    assert text.count(HIDE) == text.count(SHOW) == 1
    assert text.index(HIDE) < text.index(SHOW)


def test_a_resumed_run_begins_where_it_was_and_figures_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with terminal(monkeypatch) as shown:
        with Progress(5, 3, wanted=True) as progress:
            progress.advance({"train_nll": 1.25, "evidence": -2.5, "lr": 0.1})
            progress.advance({"train_nll": 0.75, "seconds": 3.0})
        text = shown()
    assert "3/5" in text
    assert "0/5" not in text
    assert "train_nll 0.750  evidence -2.500" in text
    assert "lr" not in text
