"""Chunks: every batch in parts of bounded size, so that curvature takes bounded memory."""

from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import final

from torch import Tensor

from relaxeq.arguments import is_count
from relaxeq.curvature import Batch, batches
from relaxeq.errors import DataError


@final
class Chunks:
    """The batches of a loader, in the same order, each in parts of at most `size` data.

    Curvature and evidence are sums over the data: parts change them by rounding only, and bound the
    memory of a pass by that of `size` data, whatever the batch size of training. As the evidence
    of `Loaders(loader, Chunks(loader, 32))` they leave the updates of the weights as they are. With
    fisher="mc" a datum has one drawn label, but another one than in larger batches. A batch that is
    no sequence of equally long tensors is handed on as it is, for whoever reads it to refuse.

    `set_epoch` is passed on. len() is the number of parts, where the loader is a sequence or tells
    its batch_size and its number of data; it raises TypeError elsewhere, as DataLoader does. Raises
    DataError for a size below 1.
    """

    def __init__(self, loader: Iterable[Batch], size: int) -> None:
        if not is_count(size):
            raise DataError(
                f"size={size!r} of Chunks must be a whole number of data, at least 1: write "
                "Chunks(loader, 32)."
            )
        self.loader, self.size = loader, size

    def __repr__(self) -> str:
        return f"Chunks({self.loader!r}, {self.size})"

    def __iter__(self) -> Iterator[Batch]:
        """Read the loader once."""
        for batch in batches(self.loader):
            if _splits(batch):
                yield from zip(*(tensor.split(self.size) for tensor in batch), strict=True)
            else:
                yield batch

    def __len__(self) -> int:
        """Return the number of parts in one epoch."""
        return sum(-(-count // self.size) for count in _lengths(self.loader))

    def set_epoch(self, epoch: int) -> None:
        """Tell the loader, or its sampler, which epoch comes next, if it wants to know."""
        tell_epoch(self.loader, epoch)


def parts_of(loader: object) -> tuple[object, object]:
    """A loader and its sampler, from under `Chunks`."""
    while isinstance(loader, Chunks):
        loader = loader.loader
    return loader, getattr(loader, "sampler", None)


def tell_epoch(loader: object, epoch: int) -> None:
    """Call `set_epoch` of a loader and of its sampler, where they have one."""
    for part in parts_of(loader):
        if hasattr(part, "set_epoch"):
            part.set_epoch(epoch)


def _splits(batch: object) -> bool:
    """Whether a batch is tensors of one length, not 0."""
    if not isinstance(batch, tuple | list) or not batch:
        return False
    if not all(isinstance(tensor, Tensor) and tensor.ndim for tensor in batch):
        return False
    return len({len(tensor) for tensor in batch}) == 1 and len(batch[0]) > 0


def _lengths(loader: Iterable[Batch]) -> list[int]:
    """How many data each batch has."""
    if isinstance(loader, Sequence):
        return [len(batch[0]) if _splits(batch) else 1 for batch in loader]
    size, count = getattr(loader, "batch_size", None), _count(loader)
    if size is None or count is None:
        raise TypeError(f"{type(loader).__name__} does not tell how many data its batches have")
    full, rest = divmod(count, size)
    return [size] * full + [rest] * (rest > 0 and not getattr(loader, "drop_last", False))


def _count(loader: object) -> int | None:
    """How many data a loader reads: a DataLoader's sampler knows, ours say so."""
    sampler = getattr(loader, "sampler", None)
    return len(sampler) if isinstance(sampler, Sized) else getattr(loader, "dataset_size", None)
