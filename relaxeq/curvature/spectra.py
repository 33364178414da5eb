"""Eigenvalues of Kronecker factors: each matrix is decomposed once, without its dead features."""

from typing import final

import torch
from torch import Tensor
from torch.nn import functional

from relaxeq.curvature.threads import in_parallel, symmetric_eigenvalues, workers
from relaxeq.errors import NumericsError

AT_ONCE = 1 << 20
"""Entries of factors that are decomposed together, 8 MiB in float64."""


@final
class Spectra:
    """Eigenvalues of factors, kept for all blocks that hold the same factor."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[Tensor, Tensor]] = {}

    def of(self, factor: Tensor) -> Tensor:
        """Eigenvalues (block, feature) in float64, none negative, in no promised order."""
        if id(factor) not in self._found:  # the factor is kept too, so that its id stays its own
            self._found[id(factor)] = factor, eigenvalues(factor)
        return self._found[id(factor)][1]


def eigenvalues(grams: Tensor) -> Tensor:
    """Of positive semi-definite matrices (block, n, n), the blocks shared among `workers`.

    Features that are 0 in all blocks of a part add zeros and are left out: taps that only ever
    meet padding, units that never fire.
    """
    share = -(-len(grams) // workers(grams))
    parts = grams.split(max(1, min(share, AT_ONCE // grams.shape[-1] ** 2)))
    return torch.cat(in_parallel(_of_part, parts))


def _of_part(grams: Tensor) -> Tensor:
    whole = checked(grams)
    alive = (grams.diagonal(dim1=-2, dim2=-1) != 0).any(0)
    if not alive.all():
        whole = whole[:, alive][:, :, alive]
    found = symmetric_eigenvalues(whole).clamp_min(0.0)
    return functional.pad(found, (grams.shape[-1] - found.shape[-1], 0))


def checked(gram: Tensor) -> Tensor:
    """The matrix in float64: in single precision small eigenvalues are lost, zero factors fail."""
    if not torch.isfinite(gram).all():
        raise NumericsError("a curvature factor is not finite: training has diverged before it.")
    return gram.double()
