"""Mini-batches of tensors in memory, in an order that a resumed run can repeat."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from relaxeq.arguments import is_count
from relaxeq.data.checks import check_whole
from relaxeq.data.draws import generator
from relaxeq.errors import DataError


class TensorLoader:
    """Batches (x, y, ...) of equally long tensors, cut as whole slices (no worker, no collation).

    With a `seed` the order of an epoch is a function of (seed, epoch) alone: call `set_epoch`
    before each epoch, as with torch's DistributedSampler. Without one (None) the order is that of
    the data, as evaluation and curvature want it. The last batch may be smaller. Raises DataError
    for no tensor, no data, unequal lengths, a batch size below 1, or a negative seed or epoch.
    """

    def __init__(
        self, data: TensorDataset | tuple[Tensor, ...], batch_size: int, seed: int | None = None
    ) -> None:
        self.tensors = tensors_of(data)
        _check_lengths(self.tensors)
        check_whole("batch_size", batch_size, 1)
        if not (seed is None or is_count(seed, 0)):
            raise DataError(
                "seed must be a whole number of at least 0, or None to keep the order, "
                f"not {seed!r}"
            )
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def __repr__(self) -> str:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in self.tensors)
        return f"TensorLoader({shapes}, batch_size={self.batch_size}, seed={self.seed})"

    @property
    def dataset_size(self) -> int:
        """Number of data points in one epoch."""
        return len(self.tensors[0])

    def __len__(self) -> int:
        """Return the number of batches in one epoch."""
        return -(-self.dataset_size // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        """Run through one epoch: the one that `set_epoch` named last, at first 0."""
        order = self._order()
        for start in range(0, self.dataset_size, self.batch_size):
            chosen = order[start : start + self.batch_size]
            yield tuple(tensor[chosen.to(tensor.device)] for tensor in self.tensors)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration takes."""
        check_whole("epoch", epoch, 0)
        self.epoch = epoch

    def _order(self) -> Tensor:
        if self.seed is None:
            return torch.arange(self.dataset_size)
        return torch.from_numpy(generator(self.seed, self.epoch).permutation(self.dataset_size))


def tensors_of(data: object) -> tuple[Tensor, ...]:
    """The tensors of a data set, or of a tuple of them. Raises DataError for anything else."""
    found = data.tensors if isinstance(data, TensorDataset) else data
    if not isinstance(found, tuple | list) or not all(isinstance(t, Tensor) for t in found):
        kind = type(found).__name__
        if isinstance(found, tuple | list):
            kind += f" of {', '.join(type(entry).__name__ for entry in found)}"
        raise DataError(f"data must be a TensorDataset or tensors (x, y), not a {kind}")
    return tuple(found)


def _check_lengths(tensors: tuple[Tensor, ...]) -> None:
    if not tensors:
        raise DataError("data must hold at least one tensor, not none")
    lengths = [len(tensor) if tensor.ndim else 0 for tensor in tensors]
    if len(set(lengths)) > 1:
        raise DataError(f"data must be tensors of one length, not {lengths}")
    if lengths[0] == 0:
        raise DataError("data must hold at least one data point, not none")
