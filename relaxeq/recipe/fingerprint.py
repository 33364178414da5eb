"""Fingerprints of data: does a run that continues see the data it began with?"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from relaxeq.curvature import wide
from relaxeq.errors import EvidenceWarning

TOLERANCE = 1e-4
"""Of rounding, relative: sums of float32 in another order, or on another device."""


@final
class Fingerprint:
    """First and second moments of a fixed projection of x and of y, in any order of the data."""

    def __init__(self) -> None:
        self._count, self._sums = 0, torch.zeros(5, dtype=torch.float64)

    def add(self, inputs: Tensor, targets: Tensor) -> None:
        """Count a batch."""
        p, q = _projected(inputs), _projected(targets)
        self._sums += torch.stack([p.sum(), p @ p, q.sum(), q @ q, p @ q])
        self._count += len(inputs)

    def moments(self) -> list[float]:
        """Means of p, p², q, q² and pq, for the projections p of x and q of y; none of no data."""
        found: list[float] = (self._sums / self._count).tolist() if self._count else []
        return found


def _projected(batch: Tensor) -> Tensor:
    rows = wide(batch.detach().reshape(len(batch), -1))
    rows = rows if rows.is_floating_point() else rows.float()
    weights = torch.arange(1, rows.shape[1] + 1, device=rows.device).sin().to(rows)
    return (rows @ weights).double().cpu()


EFFECTS = {
    "data": "a finished run keeps the weights of those, and a stopped one mixes both",
    "test data": "figures of its earlier epochs are those of the others",
}


def warn_of_other_data(
    held: Sequence[float] | None, found: Sequence[float], what: str, path: Path
) -> None:
    """Warn if a run folder saw other data or test data; one that does not say is trusted."""
    if not held or not found or agree(held, found):
        return
    warnings.warn(
        f"run_dir={str(path)!r} holds a run on other {what} than these: {EFFECTS[what]}. Choose "
        "another run_dir; go on where your loader draws its data at random.",
        EvidenceWarning,
        stacklevel=6,
    )


def agree(held: Sequence[float], found: Sequence[float]) -> bool:
    """Whether two fingerprints are those of the same data; no data agree with no other."""
    if not held or not found:
        return False
    p2, q2 = max(held[1], found[1]), max(held[3], found[3])
    scales = (p2**0.5, p2, q2**0.5, q2, (p2 * q2) ** 0.5)
    pairs = zip(held, found, scales, strict=True)
    return all(abs(one - other) <= TOLERANCE * scale for one, other, scale in pairs)
