"""What a sparse path is: a frozen value that prints, compares and travels in specs."""

import math
from dataclasses import dataclass
from typing import Any, final

from relaxeq.arguments import is_count
from relaxeq.errors import SpecError
from relaxeq.paths.sparse.anchors import DESIGNS, half

PRIORS = ("anchors", "lengthscales")
BASES = ("exponential", "interpolating")


@final
@dataclass(frozen=True)
class Sparse:
    """How sparse paths are built (§3.1, §3.2); the defaults are the paper's.

    prior         "anchors": N(u | 0, σ²); "lengthscales": N(ω | 0, σ²), whose σ = 0 makes weights
                  constant over their places, and u has a prior of its own
    anchors       M per grid, at most all of its places; None is half of them, rounded up
    design        where anchors lie: on the "grid", far apart, or a "halton" sequence
    basis         "exponential": φ_j(p) = exp(−ω² d²(p, z_j)); "interpolating": weights of kernel
                  regression, so that u_j is about the weight at z_j
    omega         ω, an inverse lengthscale per pixel; where it starts, if it is learned
    per_pair      an ω for each pair (c', c) of channels, not one for the path
    learn_omega   train ω without a prior; "lengthscales" trains it under its prior anyway
    learn_anchors train the locations z_j (2M parameters per grid, shared by all channels), without
                  a prior
    """

    prior: str = "anchors"
    anchors: int | None = None
    design: str = "grid"
    basis: str = "exponential"
    omega: float = 1.0
    per_pair: bool = False
    learn_omega: bool = False
    learn_anchors: bool = False

    def __post_init__(self) -> None:
        for name, known in (("prior", PRIORS), ("design", DESIGNS), ("basis", BASES)):
            if getattr(self, name) not in known:
                raise SpecError(
                    f"{name}={getattr(self, name)!r} of a sparse path is not "
                    f"{' or '.join(map(repr, known))}."
                )
        if self.anchors is not None and not is_count(self.anchors):
            raise SpecError(
                f"anchors={self.anchors!r} of a sparse path must be a positive integer, or None "
                "for half of the places."
            )
        if not (isinstance(self.omega, float | int) and 0 < self.omega < math.inf):
            raise SpecError(
                f"omega={self.omega!r} of a sparse path must be positive and finite: it is an "
                "inverse lengthscale per pixel, such as 1.0. Constant weights, ω = 0, are those of "
                "prior='lengthscales' at prior_variance = 0."
            )

    @property
    def omega_has_prior(self) -> bool:
        """Whether σ² is that of ω."""
        return self.prior == "lengthscales"

    def refuse_pairs(self, label: str) -> None:
        """Raise SpecError if an ω per pair is wanted of a path that has none."""
        if self.per_pair:
            raise SpecError(
                f"per_pair=True of {label}: only S-FC and S-CONV have an ω per pair of channels; "
                "leave it out."
            )

    def count(self, places: int) -> int:
        """M for a weight over so many places."""
        return half(places) if self.anchors is None else min(self.anchors, places)


def sparse_from(given: Any) -> Sparse:
    """The options meant by "anchors", "lengthscales" or a Sparse."""
    if isinstance(given, Sparse):
        return given
    if given in PRIORS:
        return Sparse(given)
    raise SpecError(
        f"prior={given!r} is not 'anchors' or 'lengthscales': write one of them, or "
        "relaxeq.paths.Sparse(...) for more choices."
    )
