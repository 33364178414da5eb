"""The sum of paths: what layers on grids and on vectors have in common."""

from collections.abc import ItemsView, Mapping, Sequence, ValuesView
from typing import final

import torch
from torch import Tensor, nn

from relaxeq.errors import ShapeError, SpecError
from relaxeq.paths import Expansion, Path, convolved_as_one, sums_as_one
from relaxeq.paths.base import check_dense
from relaxeq.paths.blockwise import is_autocast
from relaxeq.shapes import Matrix
from relaxeq.sites import has_channels_last


@final
class PathSum(nn.ModuleDict):
    """Paths by their labels; those with σ² = 0 are off and left out of the sum."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        super().__init__(paths)
        self._expansion = Expansion()

    def __getitem__(self, name: str) -> Path:
        if name not in self:
            raise SpecError(
                f"name={name!r} is not a path of this layer: it has {', '.join(self) or 'none'}."
            )
        path: Path = super().__getitem__(name)  # type: ignore[assignment]
        return path

    def values(self) -> ValuesView[Path]:
        return super().values()  # type: ignore[return-value]

    def items(self) -> ItemsView[str, Path]:
        return super().items()  # type: ignore[return-value]

    def active(self) -> list[Path]:
        """The paths that are not switched off."""
        return [path for path in self.values() if not path.off]

    def forward(self, x: Tensor, paths: Sequence[Path]) -> Tensor:
        """Σ W_path x over one or more of the paths; convolutions of one kind cost one of them."""
        together = sums_as_one(paths)
        images: list[Tensor] = [path(x) for path in paths if path not in together]
        if together:
            parameters = [path.theta for path in together]
            weight = self._expansion(
                self, parameters, lambda: _total([path.filter() for path in together])
            )
            images.append(convolved_as_one(x, together, weight))
        return _total(images)

    def matrix(self, rows: int, columns: int) -> Matrix:
        """The dense (rows, columns) matrix Σ W_path of the active paths."""
        check_dense(rows, columns)
        zero = next(self.parameters(), torch.empty(0)).new_zeros(rows, columns)
        return sum((path.matrix() for path in self.active()), zero)

    def sample_prior_(self, generator: torch.Generator | None = None) -> None:
        """Draw every path from its prior, in place; σ² = 0 gives exactly 0."""
        for path in self.values():
            path.sample_prior_(generator)

    def reset_parameters(self, gain: float = 1.0, generator: torch.Generator | None = None) -> None:
        """Initial weights for gain² times the mean square of the input, in equal shares."""
        share = gain / len(self) ** 0.5
        for path in self.values():
            path.reset_parameters(share, generator)

    def check(self, x: Tensor) -> None:
        """Raise ShapeError unless x has the dtype and device of the parameters.

        Under autocast, as for torch's own layers, any dtypes that it casts will do.
        """
        parameter = next(self.parameters(), x)
        dtypes = {parameter.dtype, x.dtype}
        cast = torch.float64 not in dtypes and is_autocast(x.device.type)
        if (len(dtypes) > 1 and not cast) or parameter.device != x.device:
            raise ShapeError(
                f"x is {x.dtype} on {x.device}, the layer is {parameter.dtype} on "
                f"{parameter.device}: write x.to(layer's dtype and device), or layer.to(x.dtype)."
            )


def _total(terms: Sequence[Tensor]) -> Tensor:
    """The sum, in the memory order of convolutions if there are any: that of the first term."""
    first, *others = sorted(terms, key=has_channels_last, reverse=True)
    return sum(others, first)
