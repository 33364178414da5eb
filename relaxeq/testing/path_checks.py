"""Checks of paths: linear, as dense and as symmetric as they say, and with the right curvature."""

import copy
import math

import torch
from torch import Tensor, nn
from torch.func import functional_call

from relaxeq.errors import SpecError
from relaxeq.fields import Field
from relaxeq.paths import Path, Vectors
from relaxeq.sites import is_deterministic
from relaxeq.testing.checks import CheckError, check_close
from relaxeq.testing.curvature_checks import check_gradients, check_grams, check_kfac
from relaxeq.testing.state_checks import check_moves, check_off, check_state
from relaxeq.testing.symmetry_checks import check_symmetry

LIMIT = 2_000


def check_path(
    path: nn.Module,
    source: Field | Vectors | None = None,
    target: Field | Vectors | None = None,
) -> None:
    """Raise CheckError, or EquivarianceError, with the numbers, unless the path is a right one.

    - linear in x, and in each of its weights given the others (up to inner biases: f − f(0)), data
      apart from each other; 0 where all weights are 0;
    - `matrix()` agrees with `forward`;
    - it commutes with the group that `symmetry` states, translations and point group composed;
    - gradients rebuilt from its sites, Σ_{n,s} g aᵀ, equal autograd's; Grams equal their sums;
    - KFAC equals the exact GGN, block by block, where it must: under Gaussian noise for the last
      site of a path, and for sites without shared positions on one datum;
    - a state_dict round trip gives the same map and σ², in train and eval mode alike;
    - dtype and device follow `path.to(...)`; σ² = 0 gives no map.

    source, target: the fields between which it maps. Paths between vectors need them; elsewhere,
    without them, any way of transforming that suits its shapes may fulfil its symmetry. The path
    itself is left unchanged. Weights are its parameters under a prior, those of `amplitudes` where
    it has them. Small paths only: up to 2,000 weights and entries of input and output.
    """
    work = copy.deepcopy(_small(path)).double()
    _check_fields(work, source, target)
    (work.amplitudes or work).prior_variance = 1.0
    draw_weights(work, 1)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, *work.in_shape, generator=generator, dtype=torch.float64)
    _check_shape(work, x)
    _check_linear(work, x)
    _check_matrix(work, x)
    check_symmetry(work, x, source, target)
    check_gradients(work, x)
    check_grams(work, x)
    check_kfac(work, x)
    check_state(work, x)
    check_moves(work, x)
    check_off(work, x)


def weights_of(path: Path) -> dict[str, Tensor]:
    """The parameters in which a path is linear, by their names in the path."""
    holder = path.amplitudes or path
    prefix = "" if path.amplitudes is None else "amplitudes."
    named = holder.named_parameters(recurse=holder is not path or path.amplitudes is None)
    return {prefix + name: p for name, p in named if not is_deterministic(holder, name)}


@torch.no_grad()
def draw_weights(path: Path, seed: int) -> None:
    """Standard normal weights, those that start at 0 as well."""
    generator = torch.Generator().manual_seed(seed)
    for weight in weights_of(path).values():
        weight.copy_(torch.randn(weight.shape, generator=generator, dtype=weight.dtype))


def _small(path: nn.Module) -> Path:
    if not isinstance(path, Path):
        raise SpecError(
            f"path={type(path).__name__} must be a relaxeq.paths.Path, such as layer.paths['CONV']."
        )
    weights = sum(weight.numel() for weight in weights_of(path).values())
    sizes = (weights, math.prod(path.in_shape), math.prod(path.out_shape))
    if max(sizes) > LIMIT:
        raise SpecError(
            f"path={path.label!r} has {sizes[0]} weights and maps {sizes[1]} entries to "
            f"{sizes[2]}; dense matrices are formed, so give one of at most {LIMIT} each."
        )
    return path


def _check_fields(
    path: Path, source: Field | Vectors | None, target: Field | Vectors | None
) -> None:
    places = {"source": (source, path.in_shape), "target": (target, path.out_shape)}
    for name, (field, shape) in places.items():
        if field is not None and field.shape != shape:
            raise SpecError(
                f"{name}={field} has features of shape {field.shape}, and the {name} of "
                f"{path.label!r} has {shape}: write the field between which the path itself maps."
            )


def _check_shape(path: Path, x: Tensor) -> None:
    y = path(x)
    if tuple(y.shape) != (len(x), *path.out_shape):
        raise CheckError(
            f"{path.label}: out_shape is {path.out_shape}, and forward gives {tuple(y.shape)} for "
            f"{len(x)} data."
        )
    check_close(f"{path.label}: the last datum alone", path(x[-1:]), y[-1:])


@torch.no_grad()
def _check_linear(path: Path, x: Tensor) -> None:
    origin = path(torch.zeros_like(x[:1]))
    combined = path(2 * x[:1] - 3 * x[1:2]) - origin
    apart = 2 * (path(x[:1]) - origin) - 3 * (path(x[1:2]) - origin)
    check_close(f"{path.label}: f(2x − 3x') against 2f(x) − 3f(x')", combined, apart)
    weights = weights_of(path)
    nothing = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    check_close(
        f"{path.label}: f where all weights are 0",
        _under(path, nothing, x),
        torch.zeros_like(path(x)),
    )
    for name, weight in weights.items():
        _check_linear_in(path, name, weight, x)


def _check_linear_in(path: Path, name: str, weight: Tensor, x: Tensor) -> None:
    generator = torch.Generator().manual_seed(2)
    other = torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
    points = {
        "origin": torch.zeros_like(weight),
        "first": weight,
        "second": other,
        "mixed": 2 * weight - 3 * other,
    }
    f = {key: _under(path, {name: value}, x) for key, value in points.items()}
    combined = f["mixed"] - f["origin"]
    apart = 2 * (f["first"] - f["origin"]) - 3 * (f["second"] - f["origin"])
    check_close(f"{path.label}: f under 2θ − 3θ' for θ = {name}", combined, apart)


def _under(path: Path, weights: dict[str, Tensor], x: Tensor) -> Tensor:
    y: Tensor = functional_call(path, weights, (x,))
    return y


@torch.no_grad()
def _check_matrix(path: Path, x: Tensor) -> None:
    linear = path(x) - path(torch.zeros_like(x[:1]))
    product = (x.flatten(1) @ path.matrix().mT).view_as(linear)
    check_close(f"{path.label}: matrix() @ x against forward(x)", product, linear)
