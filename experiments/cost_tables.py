"""The tables of bench_curvature.py: times beside epochs, peers and floor; targets and figures."""

import statistics
from typing import Any

from floor import floors

from relaxeq.report import markdown_table

BACKENDS, COLUMNS, PADDINGS = ("ASDL", "curvlinops"), ("exact", "mc"), ("zeros", "circular")
Times = dict[str, list[float]]


def ratio(times: Times, one: str, other: str) -> float:
    """Median over the turns of the ratio within a turn."""
    return statistics.median(a / b for a, b in zip(times[one], times[other], strict=True))


def peers_table(
    found: dict[str, tuple[Times, float]], data: int, speed: tuple[float, float]
) -> str:
    lines = []
    for padding, (times, _) in found.items():
        for name in times:
            columns = name.split()[-1]
            least = floors()[columns].seconds(data, *speed)
            own = f"ours {columns}" if columns != "epoch" else "epoch"
            lines.append([
                f"{padding}: {name}",
                f"{statistics.median(times[name]):.2f} s",
                f"{ratio(times, name, 'epoch'):.2f}",
                f"{ratio(times, name, own):.2f}",
                f"{statistics.median(times[name]) / least:.1f}",
            ])  # fmt: skip
    return markdown_table(["", "median", "epochs", "× ours", "× floor"], lines)


def targets(
    found: dict[str, tuple[Times, float]], of_papers: tuple[Times, float], fits: dict[str, Any]
) -> str:
    """What was asked for, and what was measured."""
    lines: list[tuple[str, str, float]] = []
    for padding, (times, _) in found.items():
        for columns, least in (("exact", 3), ("mc", 4)):
            faster = min(ratio(times, f"{b} {columns}", f"ours {columns}") for b in BACKENDS)
            what = f"{padding}, {columns}: times as fast as the faster peer"
            lines.append((what, f"≥ {least}", faster))
    times, memory = of_papers
    for columns in COLUMNS:
        both = ratio(times, f"F-FC+CONV {columns}", f"CONV {columns}")
        lines.append((f"F-FC+CONV curvature / CONV curvature, {columns}", "≤ 2.5", both))
    lines.append(("all F-FC factors of α = 10, in MiB", "< 160", memory))
    for name, fit in fits.items():
        lines.append((f"{name}: Laplace epoch / MAP epoch", "≤ 1.25", fit["ratio"]))
        lines.append((f"{name}: the same within one run", "≤ 1.25", fit["ratio within"]))
    return markdown_table(["", "target", "found"], [[a, b, f"{c:.2f}"] for a, b, c in lines])
