"""From dense weights to anchors: least squares, with what is left over."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from relaxeq.errors import ShapeError, SpecError
from relaxeq.paths.base import Path
from relaxeq.paths.cayley import CayleyConv
from relaxeq.paths.factored import FactoredFC
from relaxeq.paths.gconv import GroupConv
from relaxeq.paths.sparse.cayley import SparseCayley
from relaxeq.paths.sparse.conv import SparseConv
from relaxeq.paths.sparse.fc import SparseFC
from relaxeq.paths.sparse.path import spread

Sparsified = SparseFC | SparseConv | SparseCayley
TWINS = {SparseFC: FactoredFC, SparseConv: GroupConv, SparseCayley: CayleyConv}


@final
@dataclass(frozen=True, eq=False)
class AnchorFit:
    """Anchors u (C', C, M) nearest to a dense weight w (C', C, n), and ‖w − u Φ‖ / ‖w‖."""

    values: Tensor
    residual: float


@torch.no_grad()
def least_squares(weight: Tensor, functions: Tensor) -> AnchorFit:
    """argmin_u ‖w − u Φ‖² for w (C', C, n) and Φ (M, n) or (C', C, M, n), u the smallest of equals.

    Solved in float64; the residual is relative, between 0 and 1 (0 for w = 0).
    """
    w, phi = weight.double(), functions.double()
    inverse = torch.linalg.pinv(phi)  # (…, n, M)
    u = w @ inverse if phi.ndim == 2 else torch.einsum("ocp,ocpm->ocm", w, inverse)
    size = float(w.norm())
    left = float((w - spread(u, phi)).norm())
    return AnchorFit(u.to(weight.dtype), left / size if size else 0.0)


@torch.no_grad()
def dense_weights(path: Sparsified) -> dict[str, Tensor]:
    """The dense weights s = u Φ of each factor, (C', C, n)."""
    return {name: spread(path.anchors(name), phi) for name, phi in path.functions().items()}


@torch.no_grad()
def fit_anchors(path: Sparsified, dense: Path | Mapping[str, Tensor]) -> dict[str, float]:
    """Set the anchors of a sparse path to those nearest to dense weights; residuals by factor.

    dense: the path's dense twin (F-FC for S-FC; CONV or GCONV with the same fields, filters and
    subgroup for S-CONV and S-GCONV), or the weights themselves, {"u1": (C', C, n), …}. ω and z stay
    as they are. Each residual is ‖w − u Φ‖ / ‖w‖: 0 where nothing was lost. Of S-FC the two factors
    are fitted apart.
    """
    found: dict[str, float] = {}
    for name, weight in _weights_of(path, dense).items():
        phi = path.functions()[name]
        shape = (*path.pairs, phi.shape[-1])
        if weight.numel() != torch.Size(shape).numel():
            raise ShapeError(
                f"dense has a weight of shape {tuple(weight.shape)} for {name} of {path.label}, "
                f"whose dense weight is {shape}: give that of the same fields and filters."
            )
        fit = least_squares(weight.reshape(shape).to(phi), phi)
        path.holder.get_parameter(name).copy_(fit.values)
        found[name] = fit.residual
    return found


def _weights_of(path: Sparsified, dense: Path | Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    if isinstance(dense, Mapping):
        if set(dense) != set(path.bases):
            raise SpecError(
                f"dense={sorted(dense)} must name a weight for each of {list(path.bases)}, the "
                f"factors of {path.label}."
            )
        return dense
    twin = TWINS[type(path)]
    if not isinstance(dense, twin):
        raise SpecError(
            f"dense={type(dense).__name__} is not the dense twin of {path.label}: give a "
            f"{twin.__name__}, or its weights by name."
        )
    if isinstance(dense, FactoredFC):
        return {"u1": dense.theta1, "u2": dense.theta2}
    return {"u": dense.theta}
