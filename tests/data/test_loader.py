"""The loader against plain indexing."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import config
from torch.utils.data import TensorDataset

from relaxeq.data import TensorLoader
from relaxeq.errors import DataError

SIZES = st.integers(1, 40)


def numbered(size: int) -> TensorDataset:
    return TensorDataset(torch.arange(size)[:, None] * 2.0, torch.arange(size))


def order(loader: TensorLoader) -> list[int]:
    return [int(index) for _, y in loader for index in y]


@given(size=SIZES, batch=SIZES, seed=st.none() | st.integers(0, 5))
def test_an_epoch_is_every_datum_once_in_batches(size: int, batch: int, seed: int | None) -> None:
    loader = TensorLoader(numbered(size), batch, seed)
    batches = list(loader)
    assert len(batches) == len(loader)
    assert loader.dataset_size == size
    lengths = [len(y) for _, y in batches]
    assert lengths[:-1] == [batch] * (len(loader) - 1)
    assert 1 <= lengths[-1] <= batch
    assert sorted(order(loader)) == list(range(size))
    assert all(torch.equal(x[:, 0], 2.0 * y) for x, y in batches)


def test_without_a_seed_the_order_stays() -> None:
    loader = TensorLoader(numbered(10), 3)
    loader.set_epoch(4)
    assert order(loader) == list(range(10))


def test_order_is_a_function_of_seed_and_epoch() -> None:
    def at(seed: int, epoch: int) -> list[int]:
        loader = TensorLoader(numbered(50), 7, seed)
        loader.set_epoch(epoch)
        torch.rand(3)  # other draws do not matter
        return order(loader)

    orders = [at(seed, epoch) for seed in range(3) for epoch in range(3)]
    assert len({tuple(each) for each in orders}) == 9
    assert orders == [at(seed, epoch) for seed in range(3) for epoch in range(3)]


def test_a_resumed_run_sees_what_the_killed_one_would_have() -> None:
    whole = TensorLoader(numbered(20), 6, seed=3)
    epochs = []
    for epoch in range(4):
        whole.set_epoch(epoch)
        epochs.append(order(whole))
    resumed = TensorLoader(numbered(20), 6, seed=3)
    resumed.set_epoch(2)
    assert order(resumed) == epochs[2]


def test_batch_size_leaves_the_order_alone() -> None:
    assert order(TensorLoader(numbered(20), 3, seed=1)) == order(
        TensorLoader(numbered(20), 20, seed=1)
    )


def test_a_tuple_of_tensors_does_as_well() -> None:
    x, y, weight = torch.rand(5, 2), torch.arange(5), torch.rand(5)
    (batch,) = TensorLoader((x, y, weight), 5)
    assert all(torch.equal(a, b) for a, b in zip(batch, (x, y, weight), strict=True))
    shown = "TensorLoader((5, 2), (5,), (5,), batch_size=3, seed=7)"
    assert repr(TensorLoader((x, y, weight), 3, seed=7)) == shown


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TensorLoader((), 4), "at least one tensor, not none"),
        (lambda: TensorLoader(numbered(0), 4), "at least one data point, not none"),
        (lambda: TensorLoader((torch.zeros(()),), 4), "at least one data point, not none"),
        (lambda: TensorLoader((torch.zeros(3), torch.zeros(4)), 4), r"one length, not \[3, 4\]"),
        (lambda: TensorLoader(torch.zeros(3), 4), "TensorDataset or tensors .*, not a Tensor"),  # type: ignore[arg-type]
        (
            lambda: TensorLoader((np.zeros(3), np.zeros(3)), 4),  # type: ignore[arg-type]
            "TensorDataset or tensors .*, not a tuple of ndarray, ndarray",
        ),
        (
            lambda: TensorLoader(numbered(3), 2.5),
            "batch_size must be a whole number of at least 1, not 2.5",
        ),  # type: ignore[arg-type]
        (
            lambda: TensorLoader(numbered(3), 0),
            "batch_size must be a whole number of at least 1, not 0",
        ),
        (
            lambda: TensorLoader(numbered(3), 1, seed=-1),
            "seed must be a whole number of at least 0, .* not -1",
        ),
        (lambda: TensorLoader(numbered(3), 1, seed=1.5), "seed must be a whole .* not 1.5"),
        (
            lambda: TensorLoader(numbered(3), 1).set_epoch(-2),
            "epoch must be a whole number of at least 0, not -2",
        ),
    ],
)
def test_refused(
    call: Callable[..., object], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "jaxtyping_disable", True)
    with pytest.raises(DataError, match=message):
        call()
