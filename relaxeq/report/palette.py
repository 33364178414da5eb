"""Colours of paths: one per path in every picture and table, told apart by the colour-blind."""

import math
from collections.abc import Iterable

KNOWN = {
    "FC": "#D55E00",
    "F-FC": "#E69F00",
    "S-FC": "#CC79A7",
    "CONV": "#0072B2",
    "S-CONV": "#56B4E9",
    "GCONV": "#009E73",
}
"""The paths of the paper in the colours of Okabe and Ito (2008)."""

SPARE = ("#117733", "#882255", "#999933", "#44AA99", "#AA4499", "#DDCC77", "#332288", "#888888")
"""Further paths take these in turn (Tol's muted scheme)."""

OFF = "#BBBBBB"
"""Layers and paths that are off."""


INK, FAINT = "#333333", "#DDDDDD"
"""Text, and lines behind the data."""


def readable_on(colour: str) -> str:
    """White or INK, whichever has more contrast on `colour`."""
    ground, ink = luminance(colour) + 0.05, luminance(INK) + 0.05
    return "#FFFFFF" if 1.05 / ground > ground / ink else INK


def luminance(colour: str) -> float:
    """Relative luminance of "#RRGGBB", about (γ = 2.2): 0 for black, 1 for white."""
    red, green, blue = (math.pow(int(colour[i : i + 2], 16) / 255, 2.2) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def colours(labels: Iterable[str]) -> dict[str, str]:
    """A colour for every label, in order of first appearance."""
    found: dict[str, str] = {}
    spare = 0
    for label in labels:
        if label in found:
            continue
        if label in KNOWN:
            found[label] = KNOWN[label]
        else:
            found[label] = SPARE[spare % len(SPARE)]
            spare += 1
    return found
