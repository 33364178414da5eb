"""Lifting to orientations and pooling over them: how regular fields begin and end."""

from dataclasses import replace
from typing import final

from torch import Tensor

from relaxeq.errors import SpecError
from relaxeq.fields import Field
from relaxeq.layers.grid import GridLayer


@final
class Lift(GridLayer):
    """y[c, k, p] = x[c, p] for every orientation k: a trivial field becomes regular (App. F.3).

    Equivariant to all of Z2 ⋊ H. `target` is the regular field, of the same channels and size.
    """

    def __init__(self, source: Field) -> None:
        _check_rep("source", source, "trivial")
        super().__init__(source, replace(source, rep="regular"))

    def transform(self, x: Tensor) -> Tensor:
        return x.repeat_interleave(self.target.orientations, dim=1)

    def extra_repr(self) -> str:
        return f"{self.source} -> {self.target}"


@final
class OrientationPool(GridLayer):
    """y[c, p] = max_k x[c, k, p], or the mean over k: a regular field becomes a trivial one.

    Equivariant to all of Z2 ⋊ H. `target` is the trivial field, of the same channels and size.
    """

    def __init__(self, source: Field, reduce: str = "max") -> None:
        _check_rep("source", source, "regular")
        if reduce not in ("max", "mean"):
            raise SpecError(f"reduce={reduce!r} must be 'max' or 'mean'.")
        super().__init__(source, replace(source, rep="trivial"))
        self.reduce = reduce

    def transform(self, x: Tensor) -> Tensor:
        split: Tensor = x.unflatten(1, (self.source.channels, -1))
        return split.amax(2) if self.reduce == "max" else split.mean(2)

    def extra_repr(self) -> str:
        return f"{self.source} -> {self.target}, reduce={self.reduce!r}"


def _check_rep(name: str, field: Field, rep: str) -> None:
    if not isinstance(field, Field) or field.rep != rep:
        raise SpecError(f"{name}={field!r} must be a relaxeq.Field with rep={rep!r}.")
