"""The path: a linear map between two feature fields, with one Gaussian prior."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from relaxeq.errors import ShapeError, SpecError
from relaxeq.fields.features import check_generator
from relaxeq.shapes import Matrix
from relaxeq.sites import Site, is_deterministic

DENSE = 2**28


class GaussianModule(nn.Module):
    """A module whose own parameters share one prior N(θ | 0, σ² I).

    Its deterministic parameters have no prior; children that are GaussianModules have their own.
    """

    def __init__(self, label: str) -> None:
        super().__init__()
        self.label = label
        self._prior_variance = 1.0
        # Kept apart, so that compiled layers depend on this and not on every value of σ².
        self._off = False

    @property
    def prior_variance(self) -> float:
        """σ², the prior variance of every parameter of the path."""
        return self._prior_variance

    @prior_variance.setter
    def prior_variance(self, value: float) -> None:
        try:
            variance = math.nan if isinstance(value, str | bytes | bool) else float(value)
        except (TypeError, ValueError):
            variance = math.nan
        if not (variance >= 0 and math.isfinite(variance)):
            raise SpecError(
                f"prior_variance={value} of path {self.label!r} must be finite and not negative, a "
                "number such as 0.5; 0 switches the path off."
            )
        if variance > 0 and math.isinf(1.0 / variance):
            raise SpecError(
                f"prior_variance={value} of path {self.label!r} has no finite precision 1/σ²: "
                "write 0, which switches the path off."
            )
        self._prior_variance = variance
        self._off = variance == 0.0

    @property
    def off(self) -> bool:
        """Whether σ² = 0 leaves no value but 0."""
        return self._off

    @property
    def prior_precision(self) -> float:
        """α = 1/σ², infinite for σ² = 0."""
        return math.inf if self._prior_variance == 0.0 else 1.0 / self._prior_variance

    @property
    def size(self) -> int:
        """P, the number of parameters under the prior."""
        return sum(parameter.numel() for parameter in self._under_prior())

    def sample_prior_(self, generator: torch.Generator | None = None) -> None:
        """Draw θ ~ N(0, σ² I) in place; σ² = 0 gives exactly 0. Children draw from their priors."""
        check_generator(generator)
        for parameter in self._under_prior():
            draw_normal(parameter, math.sqrt(self._prior_variance), generator)
        for child in self.children():
            if isinstance(child, GaussianModule):
                child.sample_prior_(generator)

    def _under_prior(self) -> list[nn.Parameter]:
        named = self.named_parameters(recurse=False)
        return [parameter for name, parameter in named if not is_deterministic(self, name)]

    def get_extra_state(self) -> Tensor:
        """σ² travels in the state_dict."""
        return torch.tensor(self._prior_variance, dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        try:
            variance = float(state)
        except (TypeError, ValueError, RuntimeError) as error:
            raise SpecError(
                f"state_dict holds {state!r} as σ² of {self.label!r}: it must be one number, as "
                "state_dict() of such a layer gives."
            ) from error
        self.prior_variance = variance


class Path(GaussianModule, ABC):
    """A map linear in x and in each parameter, θ ~ N(0, σ² I) with one σ² (Eq. 8, App. B).

    A new path writes `forward`, `sites`, `reset_parameters` and `symmetry`; everything else is
    derived here. A path with σ² = 0 is off: its weights are 0 under the prior, and layers leave it
    out of their sum. Where σ² is the prior of something else than the weights' size, as of
    lengthscales, that size is kept in `amplitudes`, a child with a prior of its own.
    """

    def __init__(
        self,
        label: str,
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        amplitudes: GaussianModule | None = None,
    ) -> None:
        super().__init__(label)
        self.in_shape = in_shape
        self.out_shape = out_shape
        self.amplitudes = amplitudes

    @property
    def off(self) -> bool:
        """Whether a prior variance of 0 leaves no map but 0: σ², or that of `amplitudes`."""
        return self._off if self.amplitudes is None else self.amplitudes.off

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """x (batch, *in_shape) ↦ (batch, *out_shape), each site shown by `tap`."""

    @abstractmethod
    def sites(self) -> dict[str, Site]:
        """The Kronecker site of each parameter."""

    @abstractmethod
    def reset_parameters(self, gain: float = 1.0, generator: torch.Generator | None = None) -> None:
        """Draw weights so that outputs have gain² times the mean square of the inputs."""

    @property
    @abstractmethod
    def symmetry(self) -> str:
        """What the path commutes with, for tables and messages: "none", "Z2", "Z2 ⋊ p4", …"""

    @torch.no_grad()
    def matrix(self) -> Matrix:
        """The dense (out, in) matrix of the path, rows and columns in the order of flatten().

        Where a path has inner biases, f(x) − f(0) is the linear map meant.
        """
        parameter = next(self.parameters())
        size = math.prod(self.in_shape)
        check_dense(math.prod(self.out_shape), size)
        basis = torch.eye(size, dtype=parameter.dtype, device=parameter.device)
        images: Tensor = self(basis.view(size, *self.in_shape))
        origin: Tensor = self(basis.new_zeros(1, *self.in_shape))
        return (images - origin).flatten(1).mT

    def extra_repr(self) -> str:
        return f"{self.label}, symmetry={self.symmetry}, prior_variance={self.prior_variance:.3g}"


def check_dense(rows: int, columns: int) -> None:
    """Refuse a dense matrix of more than 2²⁸ entries, a gibibyte in float32."""
    if rows * columns > DENSE:
        raise ShapeError(
            f"matrix() would have {rows:,} × {columns:,} entries, and is made for small fields: "
            "ask a layer of the same paths on a smaller grid."
        )


@torch.no_grad()
def draw_normal(parameter: nn.Parameter, std: float, generator: torch.Generator | None) -> None:
    """Fill a parameter with N(0, std²), on the CPU's generator whatever its device."""
    draw = torch.empty_like(parameter, device="cpu").normal_(generator=generator)
    parameter.copy_(draw * std)
