"""What data may be, and what evaluation says of them, against sums written out here."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

from relaxeq import Field, RelaxedLayer, deterministic, groups, kfac
from relaxeq.errors import DataError, EvidenceWarning, NumericsError, RelaxeqError, ShapeError
from relaxeq.likelihoods import Bernoulli, Categorical, Gaussian, Poisson
from relaxeq.recipe import Chunks, Options, fit
from relaxeq.recipe.data import check_complete, evaluate, inspect
from relaxeq.recipe.optimizer import ProximalAdam

Pair = tuple[Tensor, Tensor]
X, Y = torch.linspace(-1, 1, 12).view(6, 2), torch.tensor([0, 1, 0, 1, 1, 0])
NAN = torch.full((6, 2), float("nan"))


def patched(x: Tensor, value: float) -> Tensor:
    return torch.cat([x[:-1], torch.full_like(x[-1:], value)])


BAD: dict[str, tuple[Any, type[RelaxeqError], str]] = {
    "no batch": ([], DataError, r"gave no data: pass a loader with at least one \(x, y\) batch"),
    "empty batch": ([(X[:0], Y[:0])], DataError, "empty batch"),
    "no pairs": ([(X, Y, Y)], DataError, r"must give pairs \(x, y\), got a tuple of 3"),
    "inputs alone": ([X], DataError, r"must give pairs \(x, y\), got a Tensor"),
    "a tensor": (X, DataError, r"must give pairs \(x, y\), got a Tensor"),
    "NaN": ([(X, Y), (patched(X, float("nan")), Y)], DataError, "inputs with NaN or infinity"),
    "infinity": ([(patched(X, float("inf")), Y)], DataError, "inputs with NaN or infinity"),
    "too high": ([(X, Y), (X, Y + 1)], DataError, r"labels from 1 to 2, but .* has 2 outputs"),
    "negative": ([(X, Y - 1)], DataError, r"labels from -1 to 0, .*must be 0\.\.1"),
    "float labels": ([(X, Y.float())], DataError, r"int64.*got torch\.float32.*write y\.long\(\)"),
    "bytes": ([(X, Y.to(torch.uint8))], DataError, r"int64.*got torch\.uint8"),
    "one-hot": ([(X, nn.functional.one_hot(Y))], DataError, r"\(6, 2\): write y\.argmax\(1\)"),
    "a column": ([(X, Y[:, None])], DataError, r"shape \(6, 1\): write y\[:, 0\]\.long\(\)"),
    "too few labels": ([(X, Y[:4])], DataError, r"shape \(4,\): x and y .* must be of one length"),
    "no axis": ([(X, Y[0])], DataError, r"y of shape \(\), without a batch .*DataLoader"),
    "features": ([(torch.zeros(6, 3), Y)], ShapeError, r"shape \(batch, 3\) and torch\.float32"),
    "late": ([(X, Y), (X[:, :1], Y)], ShapeError, r"does not take inputs of shape \(batch, 1\)"),
    "double": ([(X.double(), Y)], ShapeError, r"\(batch, 2\) and torch\.float64: .*convert them"),
    "whole": ([(X.long(), Y)], ShapeError, r"\(batch, 2\) and torch\.int64"),
    "single data": (TensorDataset(X, Y), DataError, r" is a TensorDataset, .*: write DataLoader\("),
    "listed data": (list(TensorDataset(X, Y)), DataError, r"y of shape \(\), .* by DataLoader\("),
    "a number": ([(X[0, 0], Y)], DataError, r"x of shape \(\), without a batch"),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", ["train_loader", "test_loader"])
@pytest.mark.parametrize(("loader", "kind", "message"), BAD.values(), ids=BAD)
def test_bad_data_are_refused_before_training(
    loader: Any, kind: type[RelaxeqError], message: str, name: str, line: Callable[[], nn.Linear]
) -> None:
    net = line()
    before = net.weight.detach().clone()
    given: dict[str, Any] = {"train_loader": [(X, Y)], "test_loader": [(X, Y)], name: loader}
    with pytest.raises(kind, match=message) as caught:
        fit(net, **given, epochs=2)
    assert str(caught.value).startswith(name)
    assert torch.equal(net.weight.detach(), before)


REGRESSION: dict[str, tuple[Pair, str]] = {
    "NaN targets": ((X, NAN), "NaN or infinity"),
    "labels": ((X, Y), r"floats of shape \(6, 2\), got torch\.int64"),
    "whole": ((X, Y[:, None].repeat(1, 2)), r"torch\.int64 of shape \(6, 2\): write y\.float\(\)"),
    "too few": ((X, X[:4]), r"shape \(4, 2\): x and y of a batch must be of one length"),
    "one column": (
        (X, X[:, :1]),
        r"got torch\.float32 of shape \(6, 1\): the network has 2 outputs, which must be as many",
    ),
    "flat": ((X, X[:, 0]), r"floats of shape \(6, 2\), got torch\.float32 of shape \(6,\)"),
}


@pytest.mark.parametrize(("batch", "message"), REGRESSION.values(), ids=REGRESSION)
def test_bad_targets_of_regression_are_refused(batch: Pair, message: str) -> None:
    with pytest.raises(DataError, match=f"^train_loader: .*{message}"):
        fit(nn.Linear(2, 2), [batch], epochs=1, options=Options(likelihood="regression"))


@pytest.mark.parametrize(
    ("targets", "wanted"), [(X[:, 0], r"\[:, None\]\."), (Y, r"\[:, None\]\.float\(\)\.")]
)
def test_flat_targets_of_one_output_need_an_axis(targets: torch.Tensor, wanted: str) -> None:
    with pytest.raises(DataError, match=rf"shape \(6,\): write y{wanted}$"):
        fit(nn.Linear(2, 1), [(X, targets)], epochs=1, options=Options(likelihood="regression"))


def test_outputs_that_are_no_tensor_are_refused() -> None:
    net = nn.Sequential(nn.Linear(2, 2), deterministic(nn.LSTM(2, 2)))
    with pytest.raises(ShapeError, match=r"must return one tensor \(batch, out\), got tuple"):
        fit(net, [(X, Y)], epochs=1)


@pytest.mark.parametrize(
    ("module", "shape"), [(nn.Flatten(0), "2"), (nn.Unflatten(1, (1, 2)), "1, 1, 2")]
)
def test_outputs_of_another_rank_are_refused(module: nn.Module, shape: str) -> None:
    with pytest.raises(ShapeError, match=rf"must return \(batch, out\), got shape \({shape}"):
        fit(nn.Sequential(nn.Linear(2, 2), module), [(X, Y)], epochs=1)


def test_errors_of_relaxed_layers_stay_what_they_are() -> None:
    grid = Field(groups.Z2(), 1, (2, 2), rep="trivial")
    net = nn.Sequential(RelaxedLayer(grid, grid), nn.Flatten())
    with pytest.raises(ShapeError, match=r"^train_loader: x must have shape \(batch, 1, 2, 2\)"):
        fit(net, [(X, Y)], epochs=1)
    images = torch.zeros(6, 1, 2, 2)
    with pytest.raises(ShapeError, match=r"^train_loader: x is torch\.float64 .*write x\.to"):
        fit(net, [(images.double(), Y)], epochs=1)


@pytest.mark.parametrize("training", [True, False])
def test_a_look_counts_data_and_leaves_the_network_as_it_is(training: bool) -> None:
    seen: list[int] = []

    class Net(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(len(x))
            assert not self.training
            return super().forward(x)

    net = Net(2, 2).train(training)
    assert inspect(net, [(X, Y), (X[:3], Y[:3])], Categorical(), "train_loader") == 9
    assert seen == [1]
    assert net.training == training
    with pytest.raises(ShapeError):
        inspect(net, [(X[:, :1], Y)], Categorical(), "train_loader")
    assert net.training == training


@pytest.mark.parametrize("batch", [1, 4, 6])
@pytest.mark.parametrize("training", [True, False])
def test_evaluation_of_a_classifier(batch: int, training: bool) -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.9)).train(training)
    loader = DataLoader(TensorDataset(X, Y), batch)
    found = evaluate(net, loader, Categorical())
    outputs = net[0](X).detach()
    likely = torch.stack(
        [row.exp()[label] / row.exp().sum() for row, label in zip(outputs, Y, strict=True)]
    )
    right = [int(row.argmax()) == int(label) for row, label in zip(outputs, Y, strict=True)]
    assert found == {
        "test_nll": pytest.approx(-float(likely.log().mean()), rel=1e-5),
        "test_accuracy": sum(right) / 6,
    }
    assert net.training == training


@pytest.mark.parametrize("batch", [1, 4, 6])
def test_evaluation_of_a_regression_has_its_error(batch: int) -> None:
    net, y = nn.Linear(2, 1), torch.randn(6, 1)
    found = evaluate(net, DataLoader(TensorDataset(X, y), batch), Gaussian(0.5))
    density = torch.distributions.Normal(net(X).detach(), 0.5).log_prob(y)
    error = float((net(X).detach() - y).square().mean().sqrt())
    assert found == {
        "test_nll": pytest.approx(-float(density.mean()), rel=1e-5),
        "test_rmse": pytest.approx(error, rel=1e-5),
    }


@pytest.mark.parametrize("batch", [1, 4, 6])
def test_evaluation_of_labels_counts_those_on_the_right_side_of_a_half(batch: int) -> None:
    net, y = nn.Linear(2, 3), torch.randint(0, 2, (6, 3)).float()
    found = evaluate(net, DataLoader(TensorDataset(X, y), batch), Bernoulli())
    right = ((net(X).sigmoid() > 0.5).float() == y).float().mean()
    assert found["test_accuracy"] == pytest.approx(float(right))
    assert evaluate(net, [(X, y)], Poisson()).keys() == {"test_nll"}


ARRAYS: dict[str, tuple[Any, str]] = {
    "NumPy inputs": (
        (X.numpy(), Y),
        r"loader gave x of type ndarray, not a tensor: write",
    ),
    "NumPy labels": ((X, Y.numpy()), r"loader gave y of type ndarray, .*torch.as_tensor\(y\)"),
    "a list of labels": ((X, Y.tolist()), "loader gave y of type list"),
    "a tuple of strings": ((X, ("a",) * 6), "loader gave y of type tuple"),
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.usefixtures("unchecked")
def test_what_is_no_tensor_is_named(name: str) -> None:
    batch, message = ARRAYS[name]
    with pytest.raises(DataError, match=f"train_loader: .*{message}"):
        fit(nn.Linear(2, 2), [batch], epochs=2)
    with pytest.raises(DataError, match=message):
        kfac(nn.Linear(2, 2), [batch])


def test_evaluation_stops_at_a_loss_that_is_not_finite() -> None:
    net = nn.Linear(2, 2)
    nn.init.constant_(net.weight, 1e10)
    with pytest.raises(NumericsError, match=r"the loss is (nan|inf)"):
        evaluate(net, [(X * 1e38, Y)], Categorical())


def test_what_is_frozen_in_evaluation_mode_stays_so() -> None:
    """Also after a batch that is refused."""
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, affine=False), nn.Linear(2, 2)).train()
    net[1].eval()
    inspect(net, [(X, Y)], Categorical(), "train_loader")
    evaluate(net, [(X, Y)], Categorical())
    with pytest.raises(DataError):
        evaluate(net, [(X, Y + 5)], Categorical())
    assert [module.training for module in net.modules()] == [True, True, False, True]


def test_the_likelihood_of_evaluation_is_summed_in_double_precision() -> None:
    """In single precision ½ log 2πσ² swallows what the residuals say."""
    x, y = torch.randn(500, 2), 1e-5 * torch.randn(500, 2)
    net = nn.Linear(2, 2)
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    noise = 1 / math.sqrt(2 * math.pi)
    found = evaluate(net, [(x, y)], Gaussian(noise))["test_nll"]
    assert found == pytest.approx(math.pi * float(y.double().square().sum(1).mean()), rel=1e-5)
    wide = evaluate(net, [(x, y)], Gaussian(1.0))["test_nll"] - math.log(2 * math.pi)
    assert wide == pytest.approx(float(y.double().square().sum(1).mean()) / 2, rel=1e-3)


def test_a_loader_that_is_used_up_says_so_before_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProximalAdam, "step", lambda *given: pytest.fail("trained"))
    used_up = r"gave its 6 data once and has no more: .*read again .*not a generator"
    with pytest.raises(DataError, match=f"train_loader {used_up}"):
        fit(nn.Linear(2, 2), iter([(X, Y)]), epochs=2)
    with pytest.raises(DataError, match=f"test_loader {used_up}"):
        fit(nn.Linear(2, 2), [(X, Y)], iter([(X, Y)]), epochs=2)


def test_a_loader_over_one_that_is_used_up_says_so_when_it_is_read_again() -> None:
    def once() -> Chunks:
        return Chunks(iter([(X, Y)]), 2)

    with pytest.raises(
        DataError, match=r"train_loader gave 0 data in epoch 1, 6 before: .*not a g"
    ):
        fit(nn.Linear(2, 2), once(), epochs=2)
    with pytest.raises(DataError, match=r"test_loader gave no data this time: .*read again"):
        fit(nn.Linear(2, 2), [(X, Y)], once(), epochs=2)


def test_an_iterator_that_begins_again_is_a_loader() -> None:
    class Rewound:
        def __iter__(self) -> "Rewound":
            self.left = 1
            return self

        def __next__(self) -> tuple[Tensor, Tensor]:
            if not self.left:
                raise StopIteration
            self.left -= 1
            return X, Y

    fit(nn.Linear(2, 2), Rewound(), epochs=2, options=Options(progress=False))


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        ({"shuffle": True, "drop_last": True}, True),
        ({"shuffle": True}, False),
        ({"drop_last": True}, False),  # always the same ones
        ({"shuffle": True, "drop_last": True, "batch_size": 3}, False),
        ({"sampler": RandomSampler(X, num_samples=4), "drop_last": True}, False),
    ],
)
def test_other_data_in_every_epoch_are_told(options: dict[str, Any], warned: bool) -> None:
    loader = DataLoader(TensorDataset(X, Y), **({"batch_size": 4} | options))
    settings = Options(progress=False)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", EvidenceWarning)
        fit(nn.Linear(2, 2), loader, epochs=20, objective="map", options=settings)
        fit(nn.Linear(2, 2), Chunks(loader, 2), epochs=20, objective="map", options=settings)
    assert len(told) == 2 * warned
    assert all("leaves 2 of 6 data out" in str(warning.message) for warning in told)


def test_counts_must_agree() -> None:
    check_complete(6, 6, 1)
    for seen in (5, 7, 0):
        with pytest.raises(DataError, match=f"gave {seen} data in epoch 3, 6 before"):
            check_complete(seen, 6, 3)


@pytest.mark.parametrize("short", [2, 3, 4])
def test_a_loader_that_ends_early_is_caught_in_any_pass(short: int) -> None:
    class Fading(list[Pair]):
        passes = 0

        def __iter__(self) -> Any:
            self.passes += 1
            return iter(self[:1] if self.passes == short else self[:])

    options = Options(burn_in=0, update_every=1, progress=False)
    loader = Fading([(X, Y), (X, Y)])
    with pytest.raises(DataError, match=r"gave 6 data in epoch \d, 12 before"):
        fit(nn.Linear(2, 2), loader, epochs=1, options=options)
    assert loader.passes == short
