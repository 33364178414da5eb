"""Predictions of the Laplace posterior: linearised or sampled, and how well they are calibrated."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from relaxeq.curvature import FLAVOURS, Batch, Pass, Posterior, checked_batch
from relaxeq.errors import DataError, SpecError
from relaxeq.recipe.priors import prior_groups
from relaxeq.recipe.result import FitResult


def posterior(
    result: FitResult, train_loader: Iterable[Batch], settings: Pass | None = None
) -> Posterior:
    """The posterior of a fit, its curvature taken on the training data (KFAC, exact columns)."""
    result.net.eval()
    blocks, _ = FLAVOURS["kfac"](result.net, train_loader, settings or Pass(result.likelihood))
    learned = {prior.name: prior.precision for prior in result.priors}
    owners = {name: group.name for group in prior_groups(result.net) for name in group.parameters}
    return Posterior(result.net, blocks, {name: learned[owner] for name, owner in owners.items()})


def predict(
    posterior: Posterior,
    inputs: Tensor,
    method: str = "linearised",
    samples: int = 64,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Class probabilities (batch, classes), averaged over the posterior.

    "linearised" draws outputs from N(f, J (H+α)⁻¹ Jᵀ), the predictive of the linearised network
    (GLM), for which the Laplace evidence is exact; "sampled" draws weights and runs the network
    itself; "map" is the softmax of the trained network.
    """
    posterior.net.eval()
    if method == "map":
        with torch.no_grad():
            return torch.softmax(posterior.net(inputs), -1)
    if method == "linearised":
        return _linearised(posterior, inputs, samples, generator)
    if method == "sampled":
        return _sampled(posterior, inputs, samples, generator)
    raise SpecError(f"method={method!r} is not 'linearised', 'sampled' or 'map'.")


def _linearised(
    posterior: Posterior, inputs: Tensor, samples: int, generator: torch.Generator | None
) -> Tensor:
    outputs, covariance = posterior.covariance(inputs)
    values, basis = torch.linalg.eigh(covariance.double())
    root = (basis * values.clamp_min(0.0).sqrt()[:, None, :]).to(outputs)
    noise = torch.randn((samples, *outputs.shape), generator=generator, dtype=outputs.dtype)
    draws = outputs + torch.einsum("nok,snk->sno", root, noise.to(outputs))
    return draws.softmax(-1).mean(0)


@torch.no_grad()
def _sampled(
    posterior: Posterior, inputs: Tensor, samples: int, generator: torch.Generator | None
) -> Tensor:
    total = torch.zeros((), device=inputs.device)
    for _ in range(samples):
        with posterior.sampled(generator) as net:
            total = total + net(inputs).softmax(-1)
    return total / samples


@final
@dataclass(frozen=True)
class Calibration:
    """Of predicted class probabilities: mean NLL (nats per datum), accuracy, ECE (0 is perfect)."""

    nll: float
    accuracy: float
    ece: float


def calibration(probabilities: Tensor, targets: Tensor, bins: int = 15) -> Calibration:
    """NLL, accuracy and expected calibration error Σ_b |B_b|/N · |accuracy(B_b) − confidence(B_b)|.

    Bins are of equal width in the confidence max_k p_k (Guo et al. 2017).
    """
    if probabilities.ndim != 2 or targets.shape != probabilities.shape[:1]:
        raise DataError(
            f"probabilities {tuple(probabilities.shape)} and targets {tuple(targets.shape)} must "
            "be (batch, classes) and (batch,)."
        )
    confidence, predicted = probabilities.max(1)
    right = (predicted == targets).double()
    which = (confidence * bins).long().clamp_max(bins - 1)
    gap = torch.zeros(bins, dtype=torch.float64, device=right.device)
    gap.index_add_(0, which, right - confidence.double())
    nll = -probabilities.gather(1, targets[:, None]).clamp_min(1e-45).log().mean()
    return Calibration(
        float(nll), float(right.mean()), float(gap.abs().sum()) / max(1, len(targets))
    )


def held_out(
    posterior: Posterior, loader: Iterable[Batch], method: str = "linearised"
) -> Calibration:
    """The calibration of one method on held-out data."""
    found, truth = [], []
    for batch in loader:
        inputs, targets = checked_batch(batch, posterior.net)
        found.append(predict(posterior, inputs, method))
        truth.append(targets)
    if not found:
        raise DataError("loader gave no data: pass at least one (x, y) batch.")
    return calibration(torch.cat(found), torch.cat(truth))
