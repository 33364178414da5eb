"""What a run records: schedules, losses, JSON lines, test metrics, and the result of them."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import final

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from relaxeq.errors import SpecError
from relaxeq.evidence import Moments, Precisions, Term, Update
from relaxeq.recipe import Options, fit
from relaxeq.recipe.optimizer import ProximalAdam

Pair = tuple[Tensor, Tensor]
MakeOptions = Callable[..., Options]
Line = Callable[[], nn.Linear]


@final
class Watching(Update):
    """Leaves precisions alone, and remembers the rates it was given."""

    def __init__(self) -> None:
        self.rates: list[float] = []

    def step(
        self,
        terms: Mapping[str, Term],
        precisions: Mapping[str, float],
        moments: Moments,
        rate: float = 1.0,
    ) -> tuple[Precisions, Moments]:
        self.rates.append(rate)
        return dict(precisions), moments


def cosine(epoch: float, epochs: int) -> float:
    """App. F.6: from 1 at the start to 0 at the end."""
    return (1 + math.cos(math.pi * epoch / epochs)) / 2


def test_learning_rates_follow_the_cosine_within_epochs(
    points: Pair, line: Line, options: MakeOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = points
    rates: list[float] = []
    step = ProximalAdam.step

    def watched(self: ProximalAdam, lr: float, precisions: Mapping[str, float]) -> None:
        rates.append(lr)
        step(self, lr, precisions)
        assert [group["lr"] for group in self.adam.param_groups] == [lr]

    monkeypatch.setattr(ProximalAdam, "step", watched)
    batches = [(x[:12], y[:12]), (x[12:18], y[12:18]), (x[18:], y[18:])]
    result = fit(line(), batches, epochs=5, objective="map", options=options(lr=0.4))
    starts = [epoch + seen / 30 for epoch in range(5) for seen in (0, 12, 18)]
    assert rates == pytest.approx([0.4 * cosine(start, 5) for start in starts], rel=1e-12)
    assert [row["lr"] for row in result.history] == pytest.approx(rates[::3], rel=1e-12)


@pytest.mark.parametrize(
    ("burn_in", "every", "epochs", "expected"),
    [(0, 1, 3, [1, 2, 3]), (2, 2, 7, [4, 6]), (3, 1, 5, [4, 5]), (0, 3, 7, [3, 6]), (5, 2, 6, [])],
)
def test_priors_move_after_the_burn_in_and_every_few_epochs(
    burn_in: int,
    every: int,
    epochs: int,
    expected: list[int],
    points: Pair,
    line: Line,
    options: MakeOptions,
) -> None:
    watching = Watching()
    settings = options(burn_in=burn_in, update_every=every, update=watching)
    result = fit(line(), [points], epochs=epochs, options=settings)
    assert [row["epoch"] for row in result.history if "evidence" in row] == expected
    assert [row["epoch"] for row in result.history if "precisions" in row] == expected
    assert watching.rates == pytest.approx([cosine(epoch - 1, epochs) for epoch in expected])


@pytest.mark.parametrize(
    ("every", "epochs", "expected"), [(1, 3, [1, 2, 3]), (3, 7, [3, 6, 7]), (10, 2, [2])]
)
def test_test_metrics_come_every_few_epochs_and_at_the_end(
    every: int, epochs: int, expected: list[int], points: Pair, line: Line, options: MakeOptions
) -> None:
    x, y = points
    settings = options(evaluate_every=every)
    result = fit(line(), [(x[:20], y[:20])], [(x[20:], y[20:])], epochs, options=settings)
    rows = [row for row in result.history if "test_nll" in row]
    assert [row["epoch"] for row in rows] == expected
    outputs = result.net(x[20:]).detach()
    nll = float(functional.cross_entropy(outputs, y[20:]))
    accuracy = float((outputs.argmax(1) == y[20:]).float().mean())
    assert result.metrics["test_nll"] == pytest.approx(nll, rel=1e-5)
    assert result.metrics["test_accuracy"] == pytest.approx(accuracy)
    assert result.metrics == {key: rows[-1][key] for key in ("test_nll", "test_accuracy")}


def test_without_test_data_there_are_no_metrics(
    points: Pair, line: Line, options: MakeOptions
) -> None:
    assert fit(line(), [points], epochs=2, options=options()).metrics == {}


def test_the_training_loss_is_the_mean_over_data_not_batches(
    points: Pair, line: Line, options: MakeOptions
) -> None:
    x, y = points
    net = line()
    start = float(functional.cross_entropy(net(x).detach(), y))
    batches = [(x[:1], y[:1]), (x[1:], y[1:])]
    settings = options(lr=1e-12)
    result = fit(net, batches, epochs=1, objective="map", options=settings)
    assert result.history[0]["train_nll"] == pytest.approx(start, rel=1e-5)
    assert result.log_likelihood == pytest.approx(-start, rel=1e-5)
    assert result.count == 30


def test_rows_are_json_and_say_what_happened(
    images: Pair,
    mixed: Callable[..., nn.Sequential],
    options: MakeOptions,
    tmp_path: Path,
) -> None:
    net = mixed("F-FC+CONV")
    net[0].paths["CONV"].prior_variance = 0.0  # type: ignore[index, union-attr]
    result = fit(net, [images], [images], 4, options=options(), run_dir=tmp_path)
    lines = (tmp_path / "history.jsonl").read_text("utf-8").splitlines()

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    rows = [json.loads(text, parse_constant=refuse) for text in lines]
    assert rows == result.history
    plain = {"epoch", "train_nll", "lr", "seconds"}
    assert set(rows[0]) == plain
    assert set(rows[2]) == plain | {"test_nll", "test_accuracy"}
    assert set(rows[3]) == set(rows[2]) | {"evidence", "precisions"}
    assert rows[3]["precisions"]["0.paths.CONV"] == "inf"
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert all(row["seconds"] >= 0 for row in rows)


def test_the_result_holds_what_was_learned(points: Pair, line: Line, options: MakeOptions) -> None:
    net = line()
    result = fit(net, [points], epochs=4, options=options())
    assert result.net is net
    assert result.objective == "laplace"
    assert [prior.name for prior in result.priors] == ["weight", "bias"]
    precisions = {prior.name: prior.precision for prior in result.priors}
    assert precisions == result.history[-1]["precisions"]
    for name, parameter in net.named_parameters():
        found = result.prior(name)
        norm = float(parameter.detach().square().sum())
        assert found.squared_norm == pytest.approx(norm, rel=1e-5)
        assert found.size == parameter.numel()
        assert 0 < found.effective_parameters < found.size
    assert math.isfinite(result.evidence)
    assert result.evidence < result.log_likelihood < 0
    with pytest.raises(SpecError, match=r"name='wight' is not .*it has \['weight', 'bias'\]"):
        result.prior("wight")
    assert repr(result).startswith(f"FitResult(objective='laplace', evidence={result.evidence!r}")
    assert "train_nll" not in repr(result)


def test_more_evidence_means_a_better_prior(points: Pair, line: Line, options: MakeOptions) -> None:
    settings = options(burn_in=0, update_every=1, fisher="exact")
    learned, fixed = (
        fit(line(), [points], epochs=60, objective=objective, options=settings)
        for objective in ("laplace", "map")
    )
    assert learned.evidence > fixed.evidence + 0.001
    torch.testing.assert_close(
        learned.prior("weight").effective_parameters,
        learned.prior("weight").precision * learned.prior("weight").squared_norm,
        rtol=0.02,
        atol=0.0,
    )
