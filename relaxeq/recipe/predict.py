"""Predictions of the Laplace posterior, linearised or sampled, and their calibration."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from relaxeq.arguments import is_count
from relaxeq.curvature import (
    FLAVOURS,
    Batch,
    Pass,
    Posterior,
    batches,
    checked_batch,
    estimate,
    wide,
)
from relaxeq.curvature.batches import check_count, check_inputs, check_outputs
from relaxeq.errors import SpecError
from relaxeq.likelihoods import (
    Bernoulli,
    Categorical,
    Gaussian,
    LearnedGaussian,
    Likelihood,
    Poisson,
)
from relaxeq.recipe.calibration import (
    Calibration,
    NormalCalibration,
    calibration,
    normal_calibration,
)
from relaxeq.recipe.modes import evaluating
from relaxeq.recipe.priors import prior_groups
from relaxeq.recipe.result import FitResult

MEANS: dict[type[Likelihood], Callable[[Tensor], Tensor]] = {
    Categorical: lambda f: f.softmax(-1),
    Bernoulli: torch.sigmoid,
    Poisson: torch.exp,
    Gaussian: lambda f: f,
    LearnedGaussian: lambda f: f,
}
"""E[y|f] by likelihood."""


def posterior(
    result: FitResult,
    train_loader: Iterable[Batch],
    settings: Pass | None = None,
    flavour: str = "kfac",
) -> Posterior:
    """The posterior of a fit, its curvature taken on the training data (exact columns)."""
    if flavour not in FLAVOURS:
        raise SpecError(f"flavour={flavour!r} of a posterior is not one of {', '.join(FLAVOURS)}.")
    settings = Pass(result.likelihood) if settings is None else settings
    with evaluating(result.net):
        blocks = estimate(result.net, train_loader, settings, flavour).blocks
    learned = {prior.name: prior.precision for prior in result.priors}
    owners = {name: group.name for group in prior_groups(result.net) for name in group.parameters}
    precisions = {name: learned[owner] for name, owner in owners.items()}
    return Posterior(result.net, blocks, precisions, result.likelihood)


def predict(
    posterior: Posterior,
    inputs: Tensor,
    method: str = "linearised",
    samples: int = 64,
    generator: torch.Generator | None = None,
) -> Tensor:
    """E[y|x] averaged over the posterior, (batch, out): class probabilities, rates, or means.

    "linearised" draws outputs from N(f, J (H+α)⁻¹ Jᵀ), the predictive of the linearised network
    (GLM), for which the Laplace evidence is exact; "sampled" draws weights and runs the network
    itself; "map" is the trained network. Targets that are real have `predict_normal` too.
    """
    mean = MEANS.get(type(posterior.likelihood))
    if mean is None:
        raise SpecError(
            f"likelihood={posterior.likelihood!r} has no known mean E[y|f]: average it yourself "
            "over N(outputs, covariance) of posterior.covariance(inputs)."
        )
    with _asked(posterior, inputs, samples):
        if method == "linearised":
            return mean(_linearised(posterior, inputs, samples, generator)).mean(0)
        return mean(_outputs(posterior, inputs, method, samples, generator)).mean(0)


def predict_normal(
    posterior: Posterior,
    inputs: Tensor,
    method: str = "linearised",
    samples: int = 64,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (batch, out) of real targets, observation noise included.

    "linearised" is N(f, diag J (H+α)⁻¹ Jᵀ + σ²) in closed form; "sampled" the first two moments
    over drawn weights; "map" N(f, σ²).
    """
    noise = _noise(posterior)
    with _asked(posterior, inputs, samples):
        if method == "linearised":
            mean, covariance = posterior.covariance(inputs)
            return mean, (covariance.diagonal(dim1=1, dim2=2) + noise**2).sqrt()
        found = _outputs(posterior, inputs, method, samples, generator)
    spread = found.var(0) if len(found) > 1 else torch.zeros_like(found[0])
    return found.mean(0), (spread + noise**2).sqrt()


def held_out(
    posterior: Posterior, loader: Iterable[Batch], method: str = "linearised"
) -> Calibration | NormalCalibration:
    """The calibration of one method on held-out data, of classes or of real targets."""
    if isinstance(posterior.likelihood, Categorical):
        probabilities, targets = _pairs(
            posterior, loader, lambda x: [predict(posterior, x, method)]
        )
        return calibration(probabilities, targets)
    _noise(posterior)
    mean, std, targets = _pairs(
        posterior, loader, lambda x: [*predict_normal(posterior, x, method)]
    )
    return normal_calibration(mean, std, targets)


def _pairs(
    posterior: Posterior, loader: Iterable[Batch], found: Callable[[Tensor], list[Tensor]]
) -> list[Tensor]:
    """What is found of all inputs, and then the targets."""
    rows = []
    for batch in batches(loader):
        inputs, targets = checked_batch(batch, posterior.net)
        values = found(inputs)
        posterior.likelihood.check(values[0], targets)
        rows.append([*values, targets])
    check_count(len(rows))
    return [torch.cat(column) for column in zip(*rows, strict=True)]


@contextmanager
def _asked(posterior: Posterior, inputs: Tensor, samples: int) -> Iterator[None]:
    """Check what predictions are asked of, and make them in evaluation mode."""
    if not is_count(samples):
        raise SpecError(f"samples={samples!r} must be a whole number, at least 1.")
    check_inputs(inputs)
    with evaluating(posterior.net):
        yield


def _noise(posterior: Posterior) -> float:
    likelihood = posterior.likelihood
    if not isinstance(likelihood, Gaussian | LearnedGaussian):
        raise SpecError(
            f"likelihood={likelihood!r} has no normal predictive: write predict(...), or train "
            "with relaxeq.likelihoods.Gaussian."
        )
    return likelihood.noise


def _linearised(
    posterior: Posterior, inputs: Tensor, samples: int, generator: torch.Generator | None
) -> Tensor:
    """Outputs (samples, batch, out) of the linearised network; for real targets just their mean."""
    outputs, covariance = posterior.covariance(inputs)
    if isinstance(posterior.likelihood, Gaussian | LearnedGaussian):
        return outputs[None]
    values, basis = torch.linalg.eigh(covariance.double())
    root = (basis * values.clamp_min(0.0).sqrt()[:, None, :]).to(outputs)
    noise = torch.randn((samples, *outputs.shape), generator=generator, dtype=outputs.dtype)
    return outputs + torch.einsum("nok,snk->sno", root, noise.to(outputs))


@torch.no_grad()
def _outputs(
    posterior: Posterior,
    inputs: Tensor,
    method: str,
    samples: int,
    generator: torch.Generator | None,
) -> Tensor:
    """Outputs (draws, batch, out) of the network itself."""
    if method == "map":
        return _forward(posterior.net, inputs)[None]
    if method != "sampled":
        raise SpecError(f"method={method!r} is not 'linearised', 'sampled' or 'map'.")
    found = []
    for _ in range(samples):
        with posterior.sampled(generator) as net:
            found.append(_forward(net, inputs))
    return torch.stack(found)


def _forward(net: nn.Module, inputs: Tensor) -> Tensor:
    outputs = net(inputs)
    check_outputs(outputs)
    return wide(outputs)
