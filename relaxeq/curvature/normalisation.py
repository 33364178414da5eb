"""Normalisation layers: the curvature is right, but the evidence means less than it seems to."""

import warnings

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from relaxeq.errors import EvidenceWarning

KINDS: tuple[type[nn.Module], ...] = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


def warn_of_normalisation(net: nn.Module) -> None:
    """Warn once if the network normalises: weights before such a layer have no scale of their own.

    Dividing them by c changes no output, so the MAP estimate shrinks them without end, and ‖θ‖², α
    and the evidence depend on where training stopped (Antorán et al. 2022). A BatchNorm that takes
    the statistics of its batch also ties the data together: no curvature per datum exists.
    """
    found = {name: module for name, module in net.named_modules() if isinstance(module, KINDS)}
    if not found:
        return
    name, module = next(iter(found.items()))
    which = f"{type(module).__name__} {name!r}" + (f" and {len(found) - 1} more" * (len(found) > 1))
    mode = (
        " Its statistics are those of the batch, which ties the data of a batch: call net.eval(), "
        "and keep running statistics."
    )
    warnings.warn(
        f"net normalises ({which}): weights before such a layer act by their direction alone, so "
        "their precisions, and the evidence between networks, depend on where training stopped; "
        f"docs/curvature.md says what may still be compared.{mode * ties_data(net)}",
        EvidenceWarning,
        stacklevel=3,
    )


def ties_data(net: nn.Module) -> bool:
    """Whether a BatchNorm takes its statistics from the batch: in training, or having no others."""
    norms = [m for m in net.modules() if isinstance(m, _BatchNorm)]
    return any(m.training or m.running_mean is None for m in norms)
