"""Seeds: the same seed gives the same numbers, another gives others, and nobody else notices."""

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from relaxeq.curvature import Estimate, Pass
from relaxeq.data import TensorLoader
from relaxeq.errors import DataError
from relaxeq.recipe import FitResult, Options, fit
from relaxeq.recipe.seeds import Randomness, epoch_seed

Pair = tuple[Tensor, Tensor]
Network = Callable[[], nn.Sequential]


def shuffled(data: Pair, seed: int | None = None) -> DataLoader[Any]:
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    return DataLoader(TensorDataset(*data), 10, shuffle=True, generator=generator)


def order(loader: DataLoader[Any]) -> list[float]:
    return [float(value) for x, _ in loader for value in x[:, 0]]


@pytest.fixture
def run(images: Pair, mixed: Network, options: Callable[..., Options]) -> Callable[..., FitResult]:
    def start(loader: Any = None, **changes: object) -> FitResult:
        settings = options(burn_in=0, update_every=2, **changes)
        return fit(mixed(), loader or shuffled(images), epochs=2, options=settings)

    return start


def test_the_same_seed_gives_the_same_numbers(run: Callable[..., FitResult]) -> None:
    first = run(seed=3)
    torch.manual_seed(77)
    torch.rand(5)
    second = run(seed=3)
    assert first.evidence == second.evidence
    assert first.priors == second.priors
    assert torch.equal(first.net[4].weight, second.net[4].weight)  # type: ignore[index]


def test_another_seed_gives_other_numbers(run: Callable[..., FitResult]) -> None:
    evidences = [run(seed=seed).evidence for seed in (-1, 0, 1, 2)]
    assert len(set(evidences)) == 4


def test_the_seed_reaches_what_is_drawn_for_the_curvature(
    line: Callable[[], nn.Linear], points: Pair, options: Callable[..., Options]
) -> None:
    def precision(seed: int, fisher: str) -> float:
        settings = options(burn_in=0, update_every=1, seed=seed, fisher=fisher)
        result = fit(line(), [points], epochs=1, options=settings)
        return result.prior("weight").precision

    assert precision(0, "mc") == precision(0, "mc") != precision(1, "mc")
    assert precision(0, "exact") == precision(1, "exact")


def test_the_last_curvature_draws_only_where_it_is_asked_to(
    line: Callable[[], nn.Linear], points: Pair, options: Callable[..., Options]
) -> None:
    def evidence(seed: int, final: str) -> float:
        settings = options(seed=seed, fisher="mc", final_fisher=final)
        return fit(line(), [points], epochs=1, objective="map", options=settings).evidence

    assert evidence(0, "exact") == evidence(1, "exact")
    assert evidence(0, "mc") != evidence(1, "mc")


def test_every_curvature_draws_anew(
    line: Callable[[], nn.Linear],
    points: Pair,
    options: Callable[..., Options],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = sys.modules["relaxeq.recipe.fit"]
    estimate, drawn = module.estimate, list[int]()

    def watched(net: Any, loader: Any, settings: Pass, flavour: str) -> Estimate:
        assert settings.generator is not None
        drawn.append(settings.generator.initial_seed())
        found: Estimate = estimate(net, loader, settings, flavour)
        return found

    monkeypatch.setattr(module, "estimate", watched)
    fit(line(), [points], epochs=3, options=options(burn_in=0, update_every=1))
    assert len(set(drawn)) == len(drawn) == 4


def test_orders_differ_between_epochs(
    line: Callable[[], nn.Linear], points: Pair, options: Callable[..., Options]
) -> None:
    seen: list[list[float]] = []

    class Watched(DataLoader[Any]):
        def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
            batches = list(super().__iter__())
            seen.append([float(value) for x, _ in batches for value in x[:, 0]])
            return iter(batches)

    loader = Watched(TensorDataset(*points), 10, shuffle=True)
    fit(line(), loader, epochs=3, objective="map", options=options())
    assert len({tuple(each) for each in seen[1:4]}) == 3


@pytest.mark.usefixtures("unchecked")  # the checks draw from Python's generator
@pytest.mark.parametrize("fails", [False, True])
def test_the_generators_of_others_are_left_alone(
    line: Callable[[], nn.Linear], points: Pair, options: Callable[..., Options], fails: bool
) -> None:
    net, loader = line(), shuffled(points, seed=9)
    if fails:
        points[1].fill_(1000)

    def states() -> list[Any]:
        torches = [torch.get_rng_state(), loader.generator.get_state()]
        numpys = np.random.get_state(legacy=False)
        return [*(state.tolist() for state in torches), random.getstate(), str(numpys)]

    before = states()
    with pytest.raises(DataError) if fails else nullcontext():
        fit(net, loader, epochs=3, options=options())
    assert states() == before


def test_a_loader_with_its_own_generator_repeats_and_keeps_its_own_seed(
    run: Callable[..., FitResult], images: Pair
) -> None:
    loader = shuffled(images, seed=9)
    first = run(loader).evidence
    assert first == run(loader).evidence == run(shuffled(images, seed=9)).evidence
    assert first != run(shuffled(images, seed=10)).evidence


def test_a_context_seeds_all_and_restores_all(points: Pair) -> None:
    loader = shuffled(points, seed=4)
    state = torch.get_rng_state()
    with Randomness((loader,), seed=1) as randomness:
        randomness.start(5)
        first, drawn = order(loader), torch.rand(1)
        randomness.start(6)
        assert order(loader) != first
        randomness.start(5)
        assert order(loader) == first
        assert torch.equal(torch.rand(1), drawn)
    assert torch.equal(torch.get_rng_state(), state)
    assert loader.generator.initial_seed() == 4


def test_loaders_and_samplers_are_told_the_epoch(points: Pair) -> None:
    loader = TensorLoader(points, 10, seed=0)
    with Randomness((loader,), seed=0) as randomness:
        randomness.start(7)
    assert loader.epoch == 7

    class Sampler:
        epoch = -1

        def set_epoch(self, epoch: int) -> None:
            self.epoch = epoch

    class Loader:
        sampler = Sampler()

    with Randomness((Loader(),), seed=0) as randomness:
        randomness.start(3)
    assert Loader.sampler.epoch == 3


def test_epochs_of_different_seeds_share_no_number() -> None:
    numbers = [epoch_seed(seed, epoch) for seed in range(-2, 3) for epoch in range(5000)]
    assert len(set(numbers)) == len(numbers)
