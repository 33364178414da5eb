"""Loaders: one way to read the training data for updates of weights, another for the evidence."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from relaxeq.curvature import Batch


@final
@dataclass(frozen=True, eq=False)
class Loaders:
    """A training loader in two parts, for augmentation as in App. F.6.

    Weights are updated on `updates`, whose images may be flipped and shifted; curvature, evidence
    and reports are taken on `evidence`, the same N data as they are.
    """

    updates: Iterable[Batch]
    evidence: Iterable[Batch]


def as_loaders(loader: Iterable[Batch] | Loaders) -> Loaders:
    """The two parts; a plain loader serves for both."""
    return loader if isinstance(loader, Loaders) else Loaders(loader, loader)
