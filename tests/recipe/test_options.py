"""Options and arguments that cannot be are refused at once, by name."""

from collections.abc import Callable
from typing import Any

import pytest
from torch import Tensor, nn

from relaxeq.errors import DataError, RelaxeqError, SpecError
from relaxeq.evidence import Adam, MacKay
from relaxeq.likelihoods import Gaussian
from relaxeq.recipe import Options, fit

pytestmark = pytest.mark.usefixtures("unchecked")

Pair = tuple[Tensor, Tensor]

REFUSED: dict[str, tuple[list[Any], str]] = {
    "lr": ([0, -0.1, float("nan"), float("inf"), "fast", None, True], "must be a positive, finite"),
    "burn_in": ([-1, 1.5, "10", None, True], "must be a whole number from 0 to"),
    "update_every": ([0, -2, 2.0, False], "must be a whole number from 1 to"),
    "evaluate_every": ([0, 0.5, None], "must be a whole number from 1 to"),
    "seed": (["lucky", 1.0, None, 10**15, -(10**15)], "must be a whole number from -"),
    "fisher": (["full", "", None, 1], "must be 'mc' or 'exact'"),
    "final_fisher": (["MC", None], "must be 'mc' or 'exact'"),
    "update": (["mackay", None, MacKay], r"must be an Update: write MacKay\(\) or Adam\(\)"),
    "curvature": (["kfca", ""], "kfac"),
    "likelihood": (["poisson", ""], r"is not one of \[.*'classification'.*'regression'"),
}
CASES = [(name, value, text) for name, (values, text) in REFUSED.items() for value in values]


@pytest.mark.parametrize(("name", "value", "text"), CASES)
def test_wrong_options_are_refused_by_name(name: str, value: object, text: str) -> None:
    with pytest.raises(SpecError, match=text) as caught:
        Options(**{name: value})  # type: ignore[arg-type]
    assert f"{name}={value!r}" in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"lr": 1},
        {"burn_in": 0, "update_every": 1, "evaluate_every": 1},
        {"seed": -(10**12)},
        {"fisher": "exact", "final_fisher": "mc", "update": Adam(), "likelihood": "regression"},
        {"likelihood": Gaussian(0.5), "curvature": "corrected"},
    ],
)
def test_options_are_values(changes: dict[str, Any]) -> None:
    options = Options(**changes)
    assert options == Options(**changes)
    assert hash(options) == hash(Options(**changes))
    assert options != Options(lr=0.123)
    assert all(f"{name}={value!r}" in repr(options) for name, value in changes.items())


def test_the_record_is_json_and_tells_all_that_matters() -> None:
    record = Options(update=Adam(lr=0.3), likelihood=Gaussian(0.5)).record()
    assert record["update"].startswith("Adam(lr=0.3, ")
    assert record["likelihood"] == "Gaussian(noise=0.5)"
    assert set(record) == set(Options.__dataclass_fields__) - {"progress"}


ARGUMENTS: list[tuple[dict[str, Any], type[RelaxeqError], str]] = [
    ({"epochs": 0}, SpecError, r"^epochs=0 must be a positive integer"),
    ({"epochs": -3}, SpecError, r"^epochs=-3 must"),
    ({"epochs": 2.0}, SpecError, r"^epochs=2\.0 must"),
    ({"epochs": "2"}, SpecError, r"^epochs='2' must"),
    ({"epochs": True}, SpecError, r"^epochs=True must"),
    ({"epochs": None}, SpecError, r"^epochs=None must"),
    ({"objective": "mle"}, SpecError, r"^objective='mle' must be 'laplace' or 'map'"),
    ({"objective": "Laplace"}, SpecError, r"^objective='Laplace' must"),
    ({"objective": None}, SpecError, r"^objective=None must"),
    ({"options": {"lr": 0.1}}, SpecError, r"^options=\{'lr': 0\.1\} must be .*Options"),
    ({"net": lambda x: x}, SpecError, r"^net=function\(\.\.\.\) must be a torch\.nn\.Module"),
    ({"net": nn.LazyLinear(2)}, SpecError, r"^net has lazy parameters .*: write net\(x\) once"),
    ({"net": nn.Identity()}, SpecError, r"^net has no parameter that requires grad"),
    ({"train_loader": None}, DataError, r"^train_loader=None is no loader: pass a DataLoader"),
    ({"train_loader": 7}, DataError, r"^train_loader=7 is no loader"),
    ({"test_loader": 7}, DataError, r"^test_loader=7 is no loader"),
]


@pytest.mark.parametrize(("change", "kind", "message"), ARGUMENTS)
def test_wrong_arguments_are_refused_by_name(
    change: dict[str, Any], kind: type[RelaxeqError], message: str, points: Pair
) -> None:
    given: dict[str, Any] = {"net": nn.Linear(2, 2), "train_loader": [points], "epochs": 2}
    with pytest.raises(kind, match=message):
        fit(**(given | change))


def test_nothing_is_trained_before_all_is_checked(
    points: Pair, line: Callable[[], nn.Linear]
) -> None:
    net = line()
    before = net.weight.detach().clone()
    with pytest.raises(SpecError):
        fit(net, [points], epochs=0)
    assert bool((net.weight == before).all())
