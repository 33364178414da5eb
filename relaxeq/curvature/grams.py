"""Running sums of Grams, each taken once for all parameters that read the same."""

from collections.abc import Hashable, Mapping, Sequence
from typing import final

from torch import Tensor

from relaxeq.sites import Layout, add_gram_, mirror_, reading

Readings = Mapping[str, tuple[Layout, Sequence[Tensor]]]


@final
class Sums:
    """Σ of Grams by parameter, on one side of its site.

    Parameters that read the same features of the same tensors (weight and bias of a linear layer)
    share a sum. Which do is found anew for each batch, so there is one sum per group of parameters.
    """

    def __init__(self) -> None:
        self._totals: dict[tuple[str, ...], Tensor] = {}

    def add(self, readings: Readings) -> None:
        """Take what each parameter reads of one batch: its layout, and a tensor per call."""
        groups: dict[Hashable, list[str]] = {}
        for name, (layout, calls) in readings.items():
            groups.setdefault(_key(layout, calls), []).append(name)
        for names in groups.values():
            layout, calls = readings[names[0]]
            for tensor in calls:
                self._add_one(tuple(names), layout, tensor)

    def _add_one(self, names: tuple[str, ...], layout: Layout, tensor: Tensor) -> None:
        if names in self._totals:
            add_gram_(self._totals[names], layout, tensor)
        else:
            self._totals[names] = layout.gram(tensor)

    def of(self, name: str) -> Tensor | None:
        """The sum of a parameter (the same tensor for all that share it), None without any call."""
        found = [total for names, total in self._totals.items() if name in names]
        if not found:
            return None
        return mirror_(found[0] if len(found) == 1 else sum(found[1:], start=found[0]))


def _key(layout: Layout, calls: Sequence[Tensor]) -> Hashable:
    """Equal for equal features of tensors that lie at one place in memory."""
    return tuple(
        (reading(layout, tuple(t.shape[1:])), t.data_ptr(), t.shape, t.stride()) for t in calls
    )
