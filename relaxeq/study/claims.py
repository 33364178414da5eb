"""Claims: sentences that results make true or false, for terminals and documents."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from rich.table import Table
from rich.text import Text


@final
@dataclass(frozen=True)
class Claim:
    """A sentence with its figures, and whether it holds."""

    text: str
    holds: bool


def claims_list(claims: Iterable[Claim]) -> Table:
    """A line per claim for a rich console, with yes or no before it."""
    found = Table.grid(padding=(0, 2, 0, 0))
    for claim in claims:
        mark = Text("yes", style="green") if claim.holds else Text("no", style="bold red")
        found.add_row(mark, Text(claim.text))
    return found


def claims_markdown(claims: Iterable[Claim]) -> str:
    """A line per claim with a box that is ticked where it holds."""
    return "\n".join(f"- [{'x' if claim.holds else ' '}] {claim.text}" for claim in claims)
