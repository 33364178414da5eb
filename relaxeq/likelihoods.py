"""Likelihoods: log p(y|f), its Hessian factor Λ½ and samples of it, in nats."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from relaxeq.errors import DataError, SpecError
from relaxeq.shapes import Columns, Logits

OF_ONE_LENGTH = "x and y of a batch must be of one length"


class Likelihood(ABC):
    """p(y|f) of a network output f of shape (batch, out); y as the subclass says."""

    @abstractmethod
    def log_likelihood(self, outputs: Logits, targets: Tensor) -> Tensor:
        """Σ_n log p(y_n|f_n) in nats, a scalar: summed over the batch, not averaged."""

    @abstractmethod
    def hessian_root(self, outputs: Logits) -> Columns:
        """Columns r with Σ_k r_k r_kᵀ = Λ(x_n) = −∂² log p / ∂f∂fᵀ, shape (batch, out, columns)."""

    @abstractmethod
    def sampled_root(self, outputs: Logits, generator: torch.Generator | None) -> Columns:
        """One column ∂ log p(ŷ|f)/∂f with ŷ ~ p(y|f): its outer product is Λ in expectation."""

    @abstractmethod
    def check(self, outputs: Logits, targets: Tensor) -> None:
        """Raise DataError when the targets do not belong to the outputs."""


@final
@dataclass(frozen=True)
class Categorical(Likelihood):
    """Classes 0..K−1 with logits f: p(y|f) = softmax(f)_y, Λ = diag(p) − p pᵀ."""

    def log_likelihood(self, outputs: Logits, targets: Tensor) -> Tensor:
        return -functional.cross_entropy(outputs, targets, reduction="sum")

    def hessian_root(self, outputs: Logits) -> Columns:
        probabilities = outputs.softmax(-1)
        roots = probabilities.sqrt()[:, None, :]
        columns = (torch.eye(outputs.shape[1]).to(outputs) - probabilities[:, :, None]) * roots
        # Σ_k √p_k r_k = 0: the reflection that takes √p to the last axis leaves K−1 columns.
        first, last = columns[:, :, :-1], columns[:, :, -1:]
        return first - last * (roots[:, :, :-1] / (1 + roots[:, :, -1:]))

    def sampled_root(self, outputs: Logits, generator: torch.Generator | None) -> Columns:
        probabilities = outputs.softmax(-1)
        drawn = torch.multinomial(probabilities, 1, generator=generator)
        return (torch.zeros_like(outputs).scatter(1, drawn, 1.0) - probabilities)[:, :, None]

    def check(self, outputs: Logits, targets: Tensor) -> None:
        classes = outputs.shape[1]
        if targets.ndim != 1 or targets.dtype != torch.int64 or len(targets) != len(outputs):
            raise DataError(
                f"targets of a classification loader must be int64 of shape ({len(outputs)},), got "
                f"{targets.dtype} of shape {tuple(targets.shape)}: "
                f"{_as_classes(outputs, targets)}."
            )
        low, high = int(targets.min()), int(targets.max())
        if low < 0 or high >= classes:
            wider = f" or set classes={high + 1}" if low >= 0 else ""
            raise DataError(
                f"targets hold labels from {low} to {high}, but the network has {classes} outputs: "
                f"labels must be 0..{classes - 1}; relabel them{wider}."
            )


@final
@dataclass(frozen=True)
class Gaussian(Likelihood):
    """Real targets of shape (batch, out): p(y|f) = N(y | f, σ² I), Λ = I/σ², σ = `noise`."""

    noise: float = 1.0

    def __post_init__(self) -> None:
        if not (self.noise > 0 and math.isfinite(self.noise)):
            raise SpecError(f"noise={self.noise} of a Gaussian likelihood must be positive.")

    def log_likelihood(self, outputs: Logits, targets: Tensor) -> Tensor:
        squares = (outputs - targets).square().sum() / self.noise**2
        return -0.5 * (squares + outputs.numel() * math.log(2 * math.pi * self.noise**2))

    def hessian_root(self, outputs: Logits) -> Columns:
        return (torch.eye(outputs.shape[1]).to(outputs) / self.noise).expand(len(outputs), -1, -1)

    def sampled_root(self, outputs: Logits, generator: torch.Generator | None) -> Columns:
        draw = torch.randn(outputs.shape, generator=generator, device=outputs.device)
        return (draw.to(outputs) / self.noise)[:, :, None]

    def check(self, outputs: Logits, targets: Tensor) -> None:
        _check_floats(outputs, targets, "regression")


@final
@dataclass(frozen=True)
class LearnedGaussian(Likelihood):
    """A Gaussian whose σ `relaxeq.fit` learns by the evidence: `noise` is where it starts."""

    noise: float = 1.0

    def __post_init__(self) -> None:
        Gaussian(self.noise)

    @property
    def fixed(self) -> Gaussian:
        """The Gaussian of this σ."""
        return Gaussian(self.noise)

    def log_likelihood(self, outputs: Logits, targets: Tensor) -> Tensor:
        return self.fixed.log_likelihood(outputs, targets)

    def hessian_root(self, outputs: Logits) -> Columns:
        return self.fixed.hessian_root(outputs)

    def sampled_root(self, outputs: Logits, generator: torch.Generator | None) -> Columns:
        return self.fixed.sampled_root(outputs, generator)

    def check(self, outputs: Logits, targets: Tensor) -> None:
        self.fixed.check(outputs, targets)


@final
@dataclass(frozen=True)
class Bernoulli(Likelihood):
    """Labels y ∈ {0, 1} of shape (batch, out), as floats, with logits f: Λ = diag(p (1 − p))."""

    def log_likelihood(self, outputs: Logits, targets: Tensor) -> Tensor:
        return -functional.binary_cross_entropy_with_logits(outputs, targets, reduction="sum")

    def hessian_root(self, outputs: Logits) -> Columns:
        return (outputs.sigmoid() * (-outputs).sigmoid()).sqrt().diag_embed()

    def sampled_root(self, outputs: Logits, generator: torch.Generator | None) -> Columns:
        probabilities = outputs.sigmoid()
        return (torch.bernoulli(probabilities, generator=generator) - probabilities)[:, :, None]

    def check(self, outputs: Logits, targets: Tensor) -> None:
        _check_floats(outputs, targets, "Bernoulli")
        if not ((targets == 0) | (targets == 1)).all():
            raise DataError("targets of a Bernoulli likelihood must be 0 or 1: threshold them.")


@final
@dataclass(frozen=True)
class Poisson(Likelihood):
    """Counts y of shape (batch, out), as floats, with log rates f: Λ = diag(e^f)."""

    def log_likelihood(self, outputs: Logits, targets: Tensor) -> Tensor:
        return (targets * outputs - outputs.exp() - torch.lgamma(targets + 1)).sum()

    def hessian_root(self, outputs: Logits) -> Columns:
        return (0.5 * outputs).exp().diag_embed()

    def sampled_root(self, outputs: Logits, generator: torch.Generator | None) -> Columns:
        rates = outputs.exp()
        return (torch.poisson(rates, generator=generator) - rates)[:, :, None]

    def check(self, outputs: Logits, targets: Tensor) -> None:
        _check_floats(outputs, targets, "Poisson")
        if not ((targets >= 0) & (targets == targets.round())).all():
            raise DataError(
                "targets of a Poisson likelihood must be counts 0, 1, 2, …: pass what was counted, "
                "neither scaled nor centred."
            )


def _check_floats(outputs: Tensor, targets: Tensor, kind: str) -> None:
    if targets.shape != outputs.shape or not targets.is_floating_point():
        raise DataError(
            f"targets of a {kind} loader must be floats of shape {tuple(outputs.shape)}, "
            f"got {targets.dtype} of shape {tuple(targets.shape)}: {_as_floats(outputs, targets)}."
        )
    if not torch.isfinite(targets).all():
        raise DataError("targets hold NaN or infinity: clean or standardise the data first.")


def _as_classes(outputs: Tensor, targets: Tensor) -> str:
    """What to write for targets that are no class indices."""
    if targets.ndim == 0 or len(targets) != len(outputs):
        return OF_ONE_LENGTH
    if targets.ndim == 1:
        return "write y.long() class indices"
    if targets.shape[1:] == (1,):
        return "write y[:, 0].long()"
    if targets.shape == outputs.shape:
        return "write y.argmax(1)"
    return "a datum has one class, not one per pixel or step"


def _as_floats(outputs: Tensor, targets: Tensor) -> str:
    """What to write for targets that are no floats of the outputs' shape."""
    if targets.ndim == 0 or len(targets) != len(outputs):
        return OF_ONE_LENGTH
    flat = targets.ndim == 1 and outputs.shape[1] == 1
    axis = "[:, None]" if flat else ""
    if not flat and targets.shape != outputs.shape:
        return f"the network has {outputs.shape[1]} outputs, which must be as many as targets"
    return f"write y{axis}" if targets.is_floating_point() else f"write y{axis}.float()"


def likelihood_from(given: "str | Likelihood") -> Likelihood:
    """The likelihood meant by a name, or a Likelihood itself.

    "classification" is Categorical(), "regression" Gaussian() of unit noise, "binary" Bernoulli()
    and "counts" Poisson().
    """
    if isinstance(given, Likelihood):
        return given
    named: dict[str, Likelihood] = {
        "classification": Categorical(),
        "regression": Gaussian(),
        "binary": Bernoulli(),
        "counts": Poisson(),
    }
    if not isinstance(given, str) or given not in named:
        raise SpecError(
            f"likelihood={given!r} is not one of {sorted(named)}; write one of them, or pass a "
            "relaxeq.likelihoods.Likelihood such as Gaussian(noise=0.1)."
        )
    return named[given]
