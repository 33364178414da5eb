"""Where tables go: wide enough for them, also in pipes and narrow windows."""

from rich.console import Console

from relaxeq.report import WIDTH


def wide_console() -> Console:
    """Standard output, at least WIDTH columns wide."""
    console = Console()
    console.width = max(console.width, WIDTH)
    return console
