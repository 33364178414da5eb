"""Loaders: weights see one reading of the data, curvature and evidence the other."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from relaxeq.data import TensorLoader
from relaxeq.errors import DataError
from relaxeq.recipe import FitResult, Loaders, Options, fit

Pair = tuple[Tensor, Tensor]


def run(
    line: Callable[[], nn.Linear], train: TensorLoader | Loaders, options: Options
) -> FitResult:
    return fit(line(), train, epochs=4, options=options)


def test_the_same_loader_twice_is_that_loader(
    line: Callable[[], nn.Linear], points: Pair, options: Callable[..., Options]
) -> None:
    one, two = TensorLoader(points, 10, seed=4), TensorLoader(points, 10, seed=4)
    plain = run(line, one, options())
    for loaders in (Loaders(one, one), Loaders(one, two)):
        found = run(line, loaders, options())
        assert found.evidence == plain.evidence
        assert [row["train_nll"] for row in found.history] == [
            row["train_nll"] for row in plain.history
        ]


def test_weights_follow_the_updates_and_the_evidence_its_own_data(
    line: Callable[[], nn.Linear], points: Pair, options: Callable[..., Options]
) -> None:
    """On turned labels the weights learn the opposite, which the true labels then speak against."""
    turned = TensorLoader((points[0], 1 - points[1]), 10)
    result = run(line, Loaders(turned, TensorLoader(points, 10)), options())
    logits = result.net(points[0]).detach()
    expected = -nn.functional.cross_entropy(logits, points[1])
    assert result.log_likelihood == pytest.approx(float(expected), rel=1e-5)
    assert result.log_likelihood < -nn.functional.cross_entropy(logits, 1 - points[1])


def test_both_parts_are_told_the_epoch(
    line: Callable[[], nn.Linear], points: Pair, options: Callable[..., Options]
) -> None:
    loaders = Loaders(TensorLoader(points, 10, seed=0), TensorLoader(points, 10, seed=0))
    run(line, loaders, options())
    assert [loader.epoch for loader in (loaders.updates, loaders.evidence)] == [4, 4]  # type: ignore[attr-defined]


def test_parts_of_different_size_are_refused(
    line: Callable[[], nn.Linear], points: Pair, options: Callable[..., Options]
) -> None:
    less = TensorLoader((points[0][:20], points[1][:20]), 10)
    with pytest.raises(DataError, match=r"updates gives 20 data and Loaders.evidence 30: both"):
        run(line, Loaders(less, TensorLoader(points, 10)), options())


def test_faults_of_the_evidence_part_are_named(
    line: Callable[[], nn.Linear], points: Pair, options: Callable[..., Options]
) -> None:
    wrong = TensorLoader((torch.full_like(points[0], torch.nan), points[1]), 10)
    with pytest.raises(DataError, match="Loaders.evidence: "):
        run(line, Loaders(TensorLoader(points, 10), wrong), options())
