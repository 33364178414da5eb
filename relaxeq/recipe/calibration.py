"""How well predictions are calibrated: classes by confidence, real values by their intervals."""

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from relaxeq.errors import DataError


@final
@dataclass(frozen=True)
class Calibration:
    """Of predicted class probabilities: mean NLL (nats per datum), accuracy, ECE (0 is perfect)."""

    nll: float
    accuracy: float
    ece: float


@final
@dataclass(frozen=True)
class NormalCalibration:
    """Of predicted normals: mean NLL (nats per datum), RMSE, and ECE of their intervals."""

    nll: float
    rmse: float
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


def normal_calibration(
    mean: Tensor, std: Tensor, targets: Tensor, levels: int = 19
) -> NormalCalibration:
    """NLL of N(mean, std²) per entry, summed over entries of a datum; RMSE; ECE of intervals.

    ECE is the mean of |c(p) − p| over levels p = 1/(levels+1), …, where c(p) is the part of all
    target entries inside the central interval of probability p (after Kuleshov et al. 2018).
    """
    if not mean.shape == std.shape == targets.shape or mean.ndim != 2:
        raise DataError(
            f"mean {tuple(mean.shape)}, std {tuple(std.shape)} and targets {tuple(targets.shape)} "
            "must be of one shape (batch, out)."
        )
    normal = torch.distributions.Normal(mean.double(), std.double())
    nll = -normal.log_prob(targets.double()).sum(1).mean()
    inside = (2 * normal.cdf(targets.double()) - 1).abs().flatten()
    asked = torch.arange(1, levels + 1).to(inside) / (levels + 1)
    covered = (inside[None] <= asked[:, None]).double().mean(1)
    rmse = math.sqrt(float((mean.double() - targets).square().mean()))
    return NormalCalibration(float(nll), rmse, float((covered - asked).abs().mean()))
