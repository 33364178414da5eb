"""Settings of the demo, and the runs that they stand for."""

import itertools
from dataclasses import replace

import pytest

from relaxeq.demo import PRESETS, DemoConfig
from relaxeq.errors import SpecError


def test_the_main_job_is_every_model_objective_and_task_once() -> None:
    runs = PRESETS["demo"].runs()
    wanted = itertools.product(
        ["digit", "digit+quadrant"], ["F-FC", "CONV", "F-FC+CONV"], ["map", "laplace"], [0]
    )
    assert len(runs) == 12
    assert {(run.task, run.spec, run.objective, run.seed) for run in runs} == set(wanted)


def test_every_run_has_a_folder_of_its_own() -> None:
    names = [run.name for run in DemoConfig(seeds=(0, 1, 2)).runs()]
    assert len(set(names)) == 36
    assert "digit+quadrant_f-fc+conv_laplace_seed2" in names


def test_long_runs_start_first() -> None:
    config = PRESETS["demo"]
    costs = [config.cost(run) for run in config.runs()]
    assert costs == sorted(costs, reverse=True)
    assert (config.runs()[0].spec, config.runs()[0].objective) == ("F-FC+CONV", "laplace")
    assert (config.runs()[-1].spec, config.runs()[-1].objective) == ("F-FC", "map")


def test_a_runs_options_are_the_settings() -> None:
    config = DemoConfig(lr=0.02, burn_in=3, update_every=4, seeds=(7,))
    options = config.options(config.runs()[0])
    assert (options.lr, options.burn_in, options.update_every) == (0.02, 3, 4)
    assert (options.seed, options.progress) == (7, False)


def test_seeds_may_be_added_to_a_folder_and_other_settings_not() -> None:
    config = PRESETS["demo"]
    assert replace(config, seeds=(0, 1, 2)).record() == config.record()
    for change in ({"epochs": 1}, {"lr": 1.0}, {"alpha": 1}, {"train": 10}, {"batch": 7}):
        assert replace(config, **change).record() != config.record()


@pytest.mark.parametrize("name", ["seeds", "tasks", "specs", "objectives"])
@pytest.mark.parametrize("twice", [True, False])
def test_lists_hold_each_value_once(name: str, twice: bool) -> None:
    values = getattr(DemoConfig(), name) * 2 if twice else ()
    with pytest.raises(SpecError, match=f"{name}=.* must hold one or more values, each once"):
        replace(DemoConfig(), **{name: values})


def test_negative_seeds_are_refused() -> None:
    with pytest.raises(SpecError, match=r"seeds=\(-1,\) must not be negative"):
        DemoConfig(seeds=(-1,))
