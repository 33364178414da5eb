"""What a loader gives and a network returns, checked."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, IterableDataset

from relaxeq.errors import DataError, NumericsError, ShapeError

Batch = Sequence[Tensor]  # (x, y): torch's DataLoader gives lists
WRAP = "DataLoader(dataset, batch_size=128)"
AGAIN = (
    "pass a loader that can be read again and again (a DataLoader or a list of batches, not a "
    "generator)"
)


def batches(loader: Iterable[Batch], name: str = "loader") -> Iterator[Batch]:
    """The batches of a loader; `name` is what errors call it."""
    if isinstance(loader, Dataset) and not isinstance(loader, IterableDataset):
        raise DataError(
            f"{name} is a {type(loader).__name__}, whose items are single data: write {WRAP}."
        )
    try:
        return iter(loader)
    except TypeError as error:
        raise DataError(
            f"{name}={loader!r} is no loader: pass a DataLoader or a list of (x, y) batches."
        ) from error


def read_again(loader: Iterable[Batch], count: int) -> Iterator[Batch]:
    """The batches of a second pass: refused unless they hold as many data as the first."""
    seen = 0
    for batch in batches(loader):
        yield batch
        seen += len(batch[0])
    if seen != count:
        raise DataError(
            f"loader is read twice, but gave {seen} data the second time, {count} before: {AGAIN}."
        )


def checked_batch(batch: object, network: nn.Module) -> tuple[Tensor, Tensor]:
    """The batch on the network's device; refused if no pair, empty, or with NaN or infinity."""
    if not (isinstance(batch, tuple | list) and len(batch) == 2):
        raise DataError(f"loader must give pairs (x, y), got {_named(batch)}: {_remedy(batch)}.")
    inputs, targets = batch
    for name, value in (("x", inputs), ("y", targets)):
        if not isinstance(value, Tensor):
            raise DataError(
                f"loader gave {name} of type {type(value).__name__}, not a tensor: write "
                f"torch.as_tensor({name}), with the dtype that the network or its targets need."
            )
        if not value.ndim:
            raise DataError(
                f"loader gave {name} of shape (), without a batch on its first axis: single data "
                f"are put into batches by {WRAP}."
            )
    if not len(inputs):
        raise DataError("loader gave an empty batch: leave out batches without data.")
    parameter = next(network.parameters(), inputs)
    inputs, targets = inputs.to(parameter.device), targets.to(parameter.device)
    check_inputs(inputs)
    return inputs, targets


def check_inputs(inputs: Tensor) -> None:
    """Refuse inputs with NaN or infinity."""
    if inputs.is_floating_point() and not torch.isfinite(inputs).all():
        raise DataError("got inputs with NaN or infinity: clean or standardise the data first.")


def _named(batch: object) -> str:
    kind = type(batch).__name__
    return f"a {kind} of {len(batch)}" if isinstance(batch, tuple | list | dict) else f"a {kind}"


def _remedy(batch: object) -> str:
    if isinstance(batch, dict):
        return f"write [(b[x], b[y]) for b in loader], with two of the names {list(batch)}"
    if isinstance(batch, tuple | list):
        return "write [(b[0], b[1]) for b in loader], with the places of x and y"
    return f"one batch is a loader as [(x, y)], a Dataset as {WRAP}"


def check_outputs(outputs: object) -> None:
    """Outputs must be one finite tensor of shape (batch, out)."""
    if not isinstance(outputs, Tensor):
        raise ShapeError(
            f"network must return one tensor (batch, out), got {_named(outputs)}: wrap it in a "
            "module that returns the logits alone."
        )
    if outputs.ndim != 2:
        raise ShapeError(
            f"network must return (batch, out), got shape {tuple(outputs.shape)}: flatten it."
        )
    if not torch.isfinite(outputs).all():
        raise NumericsError(
            "network gave NaN or infinite outputs: lower the learning rate, or check its weights."
        )


def check_count(count: int, name: str = "loader") -> None:
    """Refuse a loader that gave nothing."""
    if not count:
        raise DataError(
            f"{name} gave no data: pass a loader with at least one (x, y) batch, not a generator "
            "that was read before."
        )
