"""Augmentation: what is drawn, when it changes, and who never sees it."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from jaxtyping import config
from torch import Tensor
from torch.utils.data import TensorDataset

from relaxeq.data import Augmentation, AugmentedLoader, Flips, Shifts
from relaxeq.errors import DataError

X = torch.rand(12, 2, 3, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(12)


def epoch(loader: AugmentedLoader, number: int) -> dict[int, Tensor]:
    """Each image by its label."""
    loader.set_epoch(number)
    return {int(label): x for images, y in loader for x, label in zip(images, y, strict=True)}


def test_flips_mirror_left_to_right() -> None:
    found = Flips().apply(X[:2], torch.tensor([[1], [0]]))
    for row in range(3):
        for col in range(4):
            assert torch.equal(found[0, :, row, col], X[0, :, row, 3 - col])
    assert torch.equal(found[1], X[1])


def test_shifts_bring_in_what_is_black() -> None:
    found = Shifts(2, fill=(0.5, -0.5)).apply(X[:1], torch.tensor([[2, 0]]))
    assert torch.equal(found[0, :, 2], X[0, :, 0])
    assert torch.equal(found[0, :, :2], torch.tensor([0.5, -0.5])[:, None, None].expand(2, 2, 4))


@pytest.mark.parametrize("step", [Flips(), Shifts(1)], ids=str)
def test_every_image_is_there_once_and_changed_anew_in_every_epoch(step: Augmentation) -> None:
    loader = AugmentedLoader((X, Y), 5, [step], seed=3)
    assert (loader.dataset_size, len(loader)) == (12, 3)
    assert repr(loader) == f"AugmentedLoader({tuple(X.shape)}, 5, steps=({step!r},), seed=3)"
    first, second = epoch(loader, 0), epoch(loader, 1)
    assert sorted(first) == sorted(second) == list(range(12))
    assert any(not torch.equal(first[k], second[k]) for k in first)
    assert any(not torch.equal(first[k], X[k]) for k in first)
    again = epoch(AugmentedLoader((X, Y), 5, [step], seed=3), 1)
    assert all(torch.equal(second[k], again[k]) for k in again)


def test_an_image_is_changed_alike_in_batches_of_any_size() -> None:
    few, many = (AugmentedLoader((X, Y), size, [Flips(), Shifts(2)], 1) for size in (2, 12))
    first, second = epoch(few, 4), epoch(many, 4)
    assert all(torch.equal(first[k], second[k]) for k in first)


def test_draws_are_uniform() -> None:
    draws = np.random.default_rng(0)
    flips, shifts = Flips().draw(4000, draws), Shifts(1).draw(4500, draws)
    assert abs(int(flips.sum()) - 2000) < 200
    counts = (3 * shifts[:, 0] + shifts[:, 1] + 4).bincount(minlength=9).double()
    assert ((counts - 500) ** 2 / 500).sum() < 26.1  # 99.9 % of a chi-square with 8 degrees


def test_vectors_are_no_images() -> None:
    with pytest.raises(DataError, match=r"must be \(n, channels, height, width\), not \(12, 4\)"):
        AugmentedLoader((torch.rand(12, 4), Y), 5, [Flips()])


def test_a_data_set_does_as_well_as_a_pair() -> None:
    pair, whole = (AugmentedLoader(data, 5, [Flips()]) for data in ((X, Y), TensorDataset(X, Y)))
    first, second = epoch(pair, 1), epoch(whole, 1)
    assert all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: AugmentedLoader((X, Y, Y), 5, [Flips()]),  # type: ignore[arg-type]
            "data must be images and labels, not 3 tensors",
        ),
        (lambda: Shifts(-1), "pixels must be a whole number of at least 0, not -1"),
        (lambda: Shifts(1.5), "pixels must be a whole number of at least 0, not 1.5"),  # type: ignore[arg-type]
        (
            lambda: Shifts(1, ()).apply(X, torch.zeros(12, 2, dtype=torch.long)),
            r"fill=\(\) must hold a number for each of the 2 channels",
        ),
    ],
)
def test_refused(call: Callable[[], object], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "jaxtyping_disable", True)
    with pytest.raises(DataError, match=message):
        call()
