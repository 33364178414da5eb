"""A run folder continues its own run, and refuses another network, other priors or settings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from relaxeq import Field, RelaxedLayer, deterministic, groups
from relaxeq.errors import CheckpointError, EvidenceWarning
from relaxeq.evidence import Adam
from relaxeq.likelihoods import Categorical
from relaxeq.paths import Path as WeightPath
from relaxeq.recipe import FitResult, Loaders, Options, fit

Pair = tuple[Tensor, Tensor]
MakeOptions = Callable[..., Options]


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def image_net(stride: int = 1, spec: str = "CONV", variance: float = 1.0) -> nn.Sequential:
    torch.manual_seed(0)
    grid = Field(groups.Z2(), 1, (2, 2), rep="trivial")
    layer = RelaxedLayer(grid, grid.resized((2 // stride, 2 // stride)), spec, stride=stride)
    first = next(iter(layer.paths.values()))
    assert isinstance(first, WeightPath)
    first.prior_variance = variance
    return nn.Sequential(layer, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 3))


def conv(mode: Literal["zeros", "circular"]) -> nn.Sequential:
    layer = nn.Conv2d(1, 3, 3, padding=1, padding_mode=mode)
    return nn.Sequential(layer, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def flat(hidden: int = 5, activation: nn.Module | None = None, drop: float = 0.1) -> nn.Sequential:
    between = (activation or nn.ReLU(), nn.Dropout(drop))
    return nn.Sequential(nn.Flatten(), nn.Linear(4, hidden), *between, nn.Linear(hidden, 3))


def frozen() -> nn.Sequential:
    net = flat()
    net[1].requires_grad_(False)
    return net


def marked(trained: bool = True) -> nn.Sequential:
    net = flat()
    deterministic(net[1].requires_grad_(trained))
    return net


OTHERS: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module]]] = {
    "width": (flat, lambda: flat(6)),
    "activation": (flat, lambda: flat(activation=nn.Tanh())),
    "dropout": (flat, lambda: flat(drop=0.5)),
    "dtype": (flat, lambda: flat().bfloat16()),
    "frozen": (flat, frozen),
    "deterministic": (flat, marked),
    "deterministic and frozen": (marked, lambda: marked(trained=False)),
    "padding": (lambda: conv("zeros"), lambda: conv("circular")),
    "stride": (image_net, lambda: image_net(stride=2)),
    "spec": (image_net, lambda: image_net(spec="CONV+FC")),
    "kind": (flat, image_net),
}


@pytest.mark.parametrize(("first", "second"), OTHERS.values(), ids=OTHERS)
def test_another_network_is_refused(
    first: Callable[[], nn.Module],
    second: Callable[[], nn.Module],
    images: Pair,
    options: MakeOptions,
    tmp_path: Path,
) -> None:
    x, y = images
    fit(first(), [images], epochs=1, options=options(), run_dir=tmp_path)
    before, net = contents(tmp_path), second()
    data = [(x.to(next(net.parameters()).dtype), y)]
    with pytest.raises(CheckpointError, match="holds a run of another network, not of this one"):
        fit(net, data, epochs=1, options=options(), run_dir=tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("objective", ["map", "laplace"])
@pytest.mark.parametrize("variance", [0.0, 2.0])
def test_other_initial_variances_are_refused(
    objective: str, variance: float, images: Pair, options: MakeOptions, tmp_path: Path
) -> None:
    given: dict[str, Any] = {"epochs": 3, "objective": objective, "run_dir": tmp_path}
    given["options"] = options(burn_in=0, update_every=1)
    fit(image_net(spec="CONV+FC"), [images], **given)
    message = r"prior precision of '0\.paths\.CONV' began at 1, not at (inf|0\.5)"
    with pytest.raises(CheckpointError, match=message):
        fit(image_net(spec="CONV+FC", variance=variance), [images], **given)


SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "epochs": ({"epochs": 5}, r"epochs=4, not of this one \(epochs=5\)"),
    "objective": ({"objective": "map"}, r"objective='laplace'.*\(objective='map'\)"),
    "lr": ({"lr": 0.25}, r"a run of lr=0\.05, not of this one \(lr=0\.25\)"),
    "seed": ({"seed": 1}, r"seed=0.*\(seed=1\)"),
    "update": ({"update": Adam()}, r"update='MacKay.*\(update='Adam"),
    "likelihood": ({"likelihood": Categorical()}, r"likelihood=\"?'classification"),
    "two": (
        {"burn_in": 1, "fisher": "exact"},
        r"burn_in=2, fisher='mc'.*burn_in=1, fisher='exact'",
    ),
}


@pytest.mark.parametrize(("change", "message"), SETTINGS.values(), ids=SETTINGS)
def test_other_settings_are_refused_by_name(
    change: dict[str, Any],
    message: str,
    run: Callable[..., FitResult],
    options: MakeOptions,
    tmp_path: Path,
) -> None:
    run(tmp_path)
    if not set(change) & {"epochs", "objective"}:
        change = {"options": options(**change)}
    with pytest.raises(CheckpointError, match=message):
        run(tmp_path, **change)


def test_other_data_are_refused_by_their_number(
    run: Callable[..., FitResult], points: Pair, tmp_path: Path
) -> None:
    x, y = points
    run(tmp_path)
    with pytest.raises(CheckpointError, match=r"count=30, not of this one \(count=20\)"):
        run(tmp_path, train_loader=[(x[:20], y[:20])])


@pytest.mark.parametrize(
    "change",
    [
        lambda x, y: (x + 0.01, y),
        lambda x, y: (x, 1 - y),
        lambda x, y: (x, y.roll(1)),
        lambda x, y: (x[:, [1, 0]], y),
    ],
    ids=["inputs", "labels", "pairs", "columns"],
)
def test_as_many_other_data_are_told(
    run: Callable[..., FitResult],
    points: Pair,
    tmp_path: Path,
    change: Callable[[Tensor, Tensor], Pair],
) -> None:
    run(tmp_path)
    with pytest.warns(EvidenceWarning, match=r"holds a run on other data .* another run_dir"):
        run(tmp_path, train_loader=[change(*points)])


def test_the_same_data_in_other_batches_are_the_same(
    run: Callable[..., FitResult], points: Pair, tmp_path: Path
) -> None:
    first = run(tmp_path)
    x, y = (part.flip(0) for part in points)
    again = run(tmp_path, train_loader=[(x[:7], y[:7]), (x[7:], y[7:])])
    assert again.evidence == pytest.approx(first.evidence)


def test_the_data_of_the_evidence_count(
    run: Callable[..., FitResult], points: Pair, tmp_path: Path
) -> None:
    x, y = points
    run(tmp_path, train_loader=Loaders([(x + 1, y)], [points]))
    run(tmp_path, train_loader=Loaders([(x - 1, y)], [points]))
    with pytest.warns(EvidenceWarning, match="holds a run on other data"):
        run(tmp_path, train_loader=Loaders([(x + 1, y)], [(x + 1, y)]))


def test_a_finished_run_is_tested_on_what_it_is_given(
    run: Callable[..., FitResult], points: Pair, tmp_path: Path
) -> None:
    x, y = points
    others = [(x, 1 - y)]
    first = run(tmp_path, test_loader=[points])
    with pytest.warns(EvidenceWarning, match="holds a run on other test data .* earlier epochs"):
        again = run(tmp_path, test_loader=others)
    assert run(tmp_path, test_loader=[points]).metrics == first.metrics
    assert again.metrics["test_accuracy"] == pytest.approx(1 - first.metrics["test_accuracy"])
    assert run(tmp_path).metrics == first.metrics  # what its last epoch found


def test_a_run_without_test_data_is_tested_later(
    run: Callable[..., FitResult], points: Pair, tmp_path: Path
) -> None:
    assert run(tmp_path).metrics == {}
    truth = run(None, test_loader=[points]).metrics
    assert run(tmp_path, test_loader=[points]).metrics == pytest.approx(truth)


def test_gradients_may_be_off_outside(run: Callable[..., FitResult]) -> None:
    with torch.no_grad():
        inside = run(None)
    assert inside.evidence == run(None).evidence
