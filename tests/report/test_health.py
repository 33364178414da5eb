"""Sentences about fits that need a second look, and silence about those that do not."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from relaxeq.recipe import FitResult
from relaxeq.recipe.convergence import Slope
from relaxeq.report import summary

Build = Callable[..., FitResult]


def history(losses: list[float], evidence: dict[int, float] | None = None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"epoch": n + 1, "train_nll": loss} for n, loss in enumerate(losses)
    ]
    for epoch, value in (evidence or {1: -3.0, len(losses): -1.0}).items():
        rows[epoch - 1]["evidence"] = value
    return rows


FLAT = [2.0, 1.0, 0.4, 0.4, 0.4, 0.4]


@pytest.mark.parametrize(
    "losses",
    [[1.0], [2.0, 1.0], [2.0, 1.0, 0.5], FLAT, [0.5, 0.4] * 3, [2 - n / 10**3 for n in range(100)]],
    ids=["one", "two", "three", "flat", "noisy", "slow"],
)
def test_a_healthy_fit_is_passed_over_in_silence(build: Build, losses: list[float]) -> None:
    rising = {1: -3.0, len(losses): -1.0}
    result = build([{"FC": 0.1, "CONV": 0.2}], history=history(losses, rising))
    assert summary(result).warnings == ()


@pytest.mark.parametrize(
    ("losses", "sentence"),
    [
        ([2.0, 1.8, 1.4, 1.2], "fell from 1.900 to 1.300 nats per datum in the last 4 epochs"),
        ([9.0] * 40 + [2 - n / 50 for n in range(10)], "fell from 1.960 to 1.860 nats per datum"),
    ],
    ids=["short", "long"],
)
def test_falling_losses_are_told(build: Build, losses: list[float], sentence: str) -> None:
    (found,) = summary(build([{"FC": 0.1}], history=history(losses))).warnings
    assert found.startswith("The weights have not converged")
    assert sentence in found


def test_evidence_that_falls_is_told_with_its_epochs(build: Build) -> None:
    trace = history(FLAT, {1: -2.0, 2: -1.0, 4: -1.01, 5: -1.02, 6: -1.1})
    (found,) = summary(build([{"FC": 0.1}], history=trace)).warnings
    assert found.startswith("The evidence falls, from -1.000 (epoch 2) to -1.100 nats per datum")
    assert "(epoch 6)" in found


@pytest.mark.parametrize(
    "trace",
    [
        {1: -2.0, 2: -1.0, 4: -1.3, 5: -1.29, 6: -1.5},  # up and down: noise
        {1: -2.0, 2: -1.0, 4: -1.005, 5: -1.01, 6: -1.015},  # next to nothing
        {2: -1.0, 4: -2.0},  # too few to say
    ],
)
def test_noise_of_the_trace_is_passed_over(build: Build, trace: dict[int, float]) -> None:
    assert summary(build([{"FC": 0.1}], history=history(FLAT, trace))).warnings == ()


def test_a_path_at_the_bound_is_told_and_one_switched_off_is_not(build: Build) -> None:
    bounds = {"layers.0.paths.FC": 1e16, "layers.1.paths.FC": float("inf")}
    result = build([{"FC": 0.0, "CONV": 0.1}, {"FC": 0.0, "CONV": 0.1}], precisions=bounds)
    (found,) = summary(result).warnings
    assert found.startswith("layers.0: the prior precision of FC is at its upper bound 1e+16")


def test_a_dead_layer_is_told(build: Build) -> None:
    result = build([{"FC": 0.0, "CONV": 0.0}, {"FC": 0.0, "CONV": 1e-9}])
    (found,) = summary(result).warnings
    assert found.startswith("layers.0: γ is 0 for every path")


@pytest.mark.parametrize("name", ["head.weight", "layers.0.bias"])
def test_other_priors_at_their_bounds_are_told(build: Build, name: str) -> None:
    (found,) = summary(build([{"FC": 0.1}], precisions={name: 1e16})).warnings
    assert found.startswith(f"{name}: its prior precision is at its upper bound 1e+16")
    (found,) = summary(build([{"FC": 0.1}], precisions={name: 1e-8})).warnings
    assert found.startswith(f"{name}: its prior precision is at its lower bound 1e-08")
    assert "standardise" in found
    (found,) = summary(build([{"FC": 0.1}], precisions={"layers.0.paths.FC": 1e-8})).warnings
    assert found.startswith("layers.0: the prior precision of FC is at its lower bound")
    assert summary(build([{"FC": 0.1}], precisions={name: 1e15})).warnings == ()


def test_a_plain_layer_without_curvature_is_told(build: Build) -> None:
    (found,) = summary(build([{"FC": 0.1}], dead=("head.weight",))).warnings
    assert found.startswith("head.weight: γ is 0, since its curvature is")


def test_evidence_that_still_rises_is_told(build: Build) -> None:
    trace = history(FLAT, {2: -3.0, 3: -2.5, 4: -2.0, 6: -1.5})
    (found,) = summary(build([{"FC": 0.1}], history=trace)).warnings
    assert found.startswith("The evidence still rises, from -3.000 (epoch 2) to -1.500 nats per")
    settled = history(FLAT, {2: -3.0, 3: -1.51, 4: -1.507, 5: -1.503, 6: -1.5})
    assert summary(build([{"FC": 0.1}], history=settled)).warnings == ()


def test_precisions_that_no_update_moves_are_told(build: Build) -> None:
    rows = history(FLAT, {2: -1.0, 4: -1.0, 6: -1.0})
    for row in rows[1::2]:
        row["precisions"] = {"layers.0.paths.FC": 1.0, "head.weight": "inf"}
    (found,) = summary(build([{"FC": 0.1}], history=rows)).warnings
    assert found.startswith("The trace is flat: 3 updates moved no precision")
    rows[-1]["precisions"] = {"layers.0.paths.FC": 1.1, "head.weight": "inf"}
    assert summary(build([{"FC": 0.1}], history=rows)).warnings == ()
    for row in rows[1::2]:
        row["precisions"] = {"layers.0.paths.FC": "inf"}
    assert summary(build([{"FC": 0.1}], history=rows)).warnings == ()


def test_evidence_that_was_never_used_is_told(build: Build) -> None:
    rows = [{"epoch": n + 1, "train_nll": 1.0} for n in range(6)]
    (found,) = summary(build([{"FC": 0.1}], history=rows)).warnings
    assert found.startswith("The evidence was never used")
    chosen = dataclasses.replace(build([{"FC": 0.1}], history=rows), objective="map")
    assert summary(chosen).warnings == ()


def test_a_steep_log_joint_is_told_instead_of_the_losses(build: Build) -> None:
    falling = history([2.0, 1.8, 1.4, 1.2])
    result = build([{"FC": 0.1}], history=falling, slope=Slope(30.0, 20.0))
    (found,) = summary(result).warnings
    assert "has norm 30, 1.50 times its sampling noise" in found
    assert "less than 0.3 times" in found
    for slope in (Slope(5.0, 20.0), Slope(30.0, 0.0), None):
        assert summary(build([{"FC": 0.1}], slope=slope)).warnings == ()


def test_a_type_that_is_not_decided_is_told(build: Build) -> None:
    (found,) = summary(build([{"FC": 0.28, "CONV": 0.32}, {"FC": 0.1, "CONV": 0.9}])).warnings
    assert found.startswith("layers.0: CONV and FC have nearly the same share (53% and 47%)")
    for clear in ({"FC": 0.2, "CONV": 0.3}, {"FC": 0.0, "CONV": 0.0}, {"FC": 0.5}):
        assert "share" not in " ".join(summary(build([clear])).warnings)
