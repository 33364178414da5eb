"""Learning priors on Bayesian linear regression, where the evidence has a closed form."""

import copy
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from torch import Tensor, nn

from relaxeq import Field, RelaxedLayer, exact_ggn, groups
from relaxeq.evidence import Adam, MacKay, Update
from relaxeq.likelihoods import Gaussian
from relaxeq.paths import Path
from relaxeq.recipe import Options, fit

pytestmark = pytest.mark.usefixtures("float64")

COUNT, NOISE = 25, 0.7


def regression(features: int = 3, outputs: int = 2) -> tuple[Tensor, Tensor]:
    """Centred inputs, so that weight and bias are independent given the data."""
    x = torch.randn(COUNT, features)
    x = x - x.mean(0)
    y = x @ torch.randn(features, outputs) + 2.0 + NOISE * torch.randn(COUNT, outputs)
    return x, y


def closed_form(x: Tensor, y: Tensor, weight: float, bias: float) -> float:
    """log p(y|x, α)/N of y = Wx + b + noise: a Gaussian in y for each output."""
    inputs = x.numpy()
    covariance = NOISE**2 * np.eye(COUNT) + inputs @ inputs.T / weight
    covariance += np.ones((COUNT, COUNT)) / bias
    zero = np.zeros(COUNT)
    columns = [float(multivariate_normal(zero, covariance).logpdf(c)) for c in y.numpy().T]
    return sum(columns) / COUNT


def best_precisions(x: Tensor, y: Tensor) -> tuple[float, float]:
    """Type-II maximum likelihood, by a search without gradients."""
    found = minimize(
        lambda logs: -closed_form(x, y, *np.exp(logs)),
        np.zeros(2),
        method="Nelder-Mead",
        options={"xatol": 1e-6, "fatol": 1e-12, "maxiter": 2000},
    )
    weight, bias = np.exp(found.x)
    return float(weight), float(bias)


@pytest.fixture
def settings(options: Callable[..., Options]) -> Callable[..., Options]:
    def make(**changes: object) -> Options:
        exact = {"likelihood": Gaussian(NOISE), "fisher": "exact", "lr": 0.5}
        return options(**(exact | changes))

    return make


@pytest.mark.parametrize("update", [MacKay(), MacKay(damping=1.0, steps=1), Adam(lr=0.3)])
def test_priors_learn_what_type_ii_maximum_likelihood_says(
    update: Update, settings: Callable[..., Options]
) -> None:
    x, y = regression()
    options = settings(update=update, update_every=1)
    result = fit(nn.Linear(3, 2), [(x, y)], epochs=150, options=options)
    weight, bias = best_precisions(x, y)
    assert result.prior("weight").precision == pytest.approx(weight, rel=5e-3)
    assert result.prior("bias").precision == pytest.approx(bias, rel=5e-3)
    assert result.evidence == pytest.approx(closed_form(x, y, weight, bias), abs=1e-5)
    learned = result.prior("weight")
    hessian = x.mT @ x / NOISE**2
    hat = hessian @ torch.linalg.inv(hessian + learned.precision * torch.eye(3))
    assert learned.effective_parameters == pytest.approx(2 * float(hat.trace()))
    assert learned.size == 6


@pytest.mark.parametrize("flavour", ["kfac", "exact"])
def test_the_evidence_of_a_map_run_is_the_closed_form_at_the_given_precision(
    flavour: str, settings: Callable[..., Options]
) -> None:
    x, y = regression()
    options = settings(curvature=flavour)
    net = nn.Linear(3, 2)
    result = fit(net, [(x, y)], epochs=150, objective="map", options=options)
    assert [prior.precision for prior in result.priors] == [1.0, 1.0]
    assert result.evidence == pytest.approx(closed_form(x, y, 1.0, 1.0), abs=1e-5)
    assert not any("evidence" in row or "precisions" in row for row in result.history)


def laplace(net: nn.Linear, x: Tensor, y: Tensor, precision: float) -> float:
    """Eq. 9 at the weights as they are, per datum, one precision for a bias-free linear map."""
    outputs, inputs = net.weight.shape
    with torch.no_grad():
        residual = net(x) - y
        squares = float(residual.square().sum()) / NOISE**2
        norm = float(net.weight.square().sum())
    hessian = torch.kron(torch.eye(outputs), x.mT @ x / NOISE**2)
    size = outputs * inputs
    logdet = float(torch.logdet(hessian + precision * torch.eye(size)))
    likelihood = -0.5 * (squares + y.numel() * math.log(2 * math.pi * NOISE**2))
    return (likelihood + 0.5 * (size * math.log(precision) - precision * norm - logdet)) / COUNT


def test_a_row_holds_the_evidence_before_its_update_and_the_precisions_after(
    settings: Callable[..., Options],
) -> None:
    x, y = regression()
    net = nn.Linear(3, 2, bias=False)
    options = settings(burn_in=3, update_every=1)
    result = fit(net, [(x, y)], epochs=4, options=options)
    row = result.history[-1]
    after = row["precisions"]["weight"]
    assert row["evidence"] == pytest.approx(laplace(net, x, y, 1.0), rel=1e-9)
    assert result.prior("weight").precision == after != 1.0
    assert result.evidence == pytest.approx(laplace(net, x, y, after), rel=1e-9)
    assert result.prior("weight").squared_norm == pytest.approx(
        float(net.weight.detach().square().sum())
    )


def test_the_flavour_of_curvature_is_the_one_asked_for(
    settings: Callable[..., Options],
) -> None:
    x, y = regression()
    net = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2))
    found = {}
    for flavour in ("exact", "kfac", "diagonal"):
        options = settings(curvature=flavour)
        found[flavour] = fit(copy.deepcopy(net), [(x, y)], None, 3, "map", options)
    assert len({result.evidence for result in found.values()}) == 3
    result = found["exact"]
    total = result.log_likelihood * COUNT
    for name, hessian in exact_ggn(result.net, [(x, y)], Gaussian(NOISE)).items():
        norm = float(result.net.get_parameter(name).detach().square().sum())
        total -= 0.5 * (norm + float(torch.logdet(hessian + torch.eye(len(hessian)))))
    assert result.evidence == pytest.approx(total / COUNT, rel=1e-9)


def relaxed(spec: str) -> tuple[RelaxedLayer, nn.Sequential]:
    source = Field(groups.Z2(), 1, (2, 2), rep="trivial")
    layer = RelaxedLayer(source, source, spec)
    return layer, nn.Sequential(layer, nn.Flatten())


def path(layer: RelaxedLayer, name: str) -> Path:
    found = layer.paths[name]
    assert isinstance(found, Path)
    return found


def test_a_path_learns_as_a_linear_layer_does(settings: Callable[..., Options]) -> None:
    x, y = regression(4, 4)
    layer, net = relaxed("FC")
    result = fit(net, [(x.view(-1, 1, 2, 2), y)], epochs=100, options=settings())
    prior = result.prior("0.paths.FC")
    assert path(layer, "FC").prior_variance == 1 / prior.precision
    assert prior.precision == pytest.approx(
        prior.effective_parameters / prior.squared_norm, rel=1e-2
    )


def test_one_precision_per_path_and_bias(settings: Callable[..., Options]) -> None:
    x, y = regression(4, 4)
    layer, net = relaxed("F-FC+CONV+FC")
    result = fit(net, [(x.view(-1, 1, 2, 2), y)], epochs=8, options=settings())
    names = [f"0.paths.{path}" for path in ("F-FC", "CONV", "FC")] + ["0.bias"]
    assert [prior.name for prior in result.priors] == names
    assert [prior.size for prior in result.priors] == [8, 9, 16, 1]
    assert len({prior.precision for prior in result.priors}) == 4
    assert list(result.history[-1]["precisions"]) == names
    variances = [path(layer, name).prior_variance for name in ("F-FC", "CONV", "FC")]
    assert variances == [1 / prior.precision for prior in result.priors[:3]]


@pytest.mark.parametrize("update", [MacKay(), Adam()])
def test_a_path_that_is_off_stays_where_it_is_and_counts_nothing(
    update: Update, settings: Callable[..., Options]
) -> None:
    x, y = regression(4, 4)
    batches = [(x.view(-1, 1, 2, 2), y)]
    (both, net), (alone, other) = relaxed("FC+CONV"), relaxed("FC")
    off = path(both, "CONV")
    off.prior_variance = 0.0
    kept = off.get_parameter("theta").detach().clone()
    path(alone, "FC").load_state_dict(path(both, "FC").state_dict())
    options = settings(update=update)
    found, single = (fit(each, batches, epochs=30, options=options) for each in (net, other))
    prior = found.prior("0.paths.CONV")
    assert (prior.precision, prior.squared_norm, prior.effective_parameters) == (math.inf, 0, 0)
    assert torch.equal(off.get_parameter("theta").detach(), kept)
    assert off.prior_variance == 0.0
    assert found.history[-1]["precisions"]["0.paths.CONV"] == "inf"
    assert found.evidence == pytest.approx(single.evidence, rel=1e-12)
    learned = [each.prior("0.paths.FC").precision for each in (found, single)]
    assert learned[0] == pytest.approx(learned[1], rel=1e-9)


def test_a_bias_that_is_off_plays_no_part(settings: Callable[..., Options]) -> None:
    """It keeps its value, as a path that is off does, and adds nothing."""
    x, y = regression(4, 4)
    images = x.view(-1, 1, 2, 2)
    layer, net = relaxed("FC")
    assert layer.bias is not None
    layer.bias.prior_variance = 0.0
    nn.init.ones_(layer.bias.value)
    result = fit(net, [(images, y)], epochs=6, options=settings())
    assert torch.equal(layer(images), path(layer, "FC")(images))
    assert result.prior("0.bias").precision == math.inf
    assert math.isfinite(result.evidence)


def test_variances_that_are_not_learned_keep_their_last_bit(
    settings: Callable[..., Options],
) -> None:
    x, y = regression(4, 4)
    layer, net = relaxed("FC")
    path(layer, "FC").prior_variance = 49.0  # 1/(1/49) is not 49
    fit(net, [(x.view(-1, 1, 2, 2), y)], epochs=2, objective="map", options=settings())
    assert path(layer, "FC").prior_variance == 49.0
