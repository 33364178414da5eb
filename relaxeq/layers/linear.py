"""RelaxedLinear: a sum of maps between representations, one per group (App. B)."""

from collections.abc import Iterable, Sequence
from typing import final

from torch import Tensor

from relaxeq.errors import SpecError
from relaxeq.groups import Representation, Subgroup
from relaxeq.groups.abstract import Group
from relaxeq.layers.learnable import LearnableSymmetry
from relaxeq.layers.path_sum import PathSum
from relaxeq.paths import LINEAR, InvariantBias, LinearFrame, Sparse, Vectors
from relaxeq.shapes import Matrix


@final
class RelaxedLinear(LearnableSymmetry):
    """vec(W) = Σ_i B_i u_i + v, y = W x: one path per group K, with its own σ² (App. B, Eq. 11).

    Maps (batch, C·ρ_in.dim) to (batch, C'·ρ_out.dim), `channels=(C, C')`; entry i of channel c sits
    at index c·ρ.dim + i. `groups` lists subgroups K ≤ G of the representations' group: "MAP[K]" in
    `paths` commutes with K, "FC" is the unconstrained v for K = {e}. `spec` names paths in the
    notation of layers, "F-FC+MAP[C3]": MAP is that of all of G, GCONV its group convolution where
    both representations are regular (App. A), and F-FC the factored residual (Eq. 5); S-FC and
    S-GCONV are those in a sparse basis on the group, with their `prior` on "anchors" or
    "lengthscales". Without either the layer is "MAP+FC". `bias` adds b (C', I) times the I
    invariant vectors of ρ_out.
    """

    def __init__(  # noqa: PLR0913  (the options of a layer)
        self,
        rho_in: Representation,
        rho_out: Representation,
        channels: Sequence[int] = (1, 1),
        spec: str | None = None,
        *,
        groups: Iterable[Group | Subgroup | str] | None = None,
        bias: bool = False,
        prior: str | Sparse = "anchors",
    ) -> None:
        super().__init__()
        into, out = _pair(channels)
        self.source, self.target = Vectors(rho_in, into), Vectors(rho_out, out)
        frame = LinearFrame(self.source, self.target, prior=prior)
        self.prior = prior
        self.spec = _spec(frame.group, spec, groups)
        self.paths: PathSum = PathSum(LINEAR.build(frame, self.spec))
        self.bias = InvariantBias(self.target) if bias else None
        self.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        self.source.check(x)
        self.paths.check(x)
        active = self.paths.active()
        y: Tensor = self.paths(x, active) if active else x.new_zeros(x.shape[0], self.target.dim)
        return y if self.bias is None else self.bias(y)

    def matrix(self) -> Matrix:
        """The dense (C'·ρ_out.dim, C·ρ_in.dim) matrix of the active paths, without the bias."""
        return self.paths.matrix(self.target.dim, self.source.dim)


def _spec(group: Group, spec: str | None, groups: Iterable[object] | None) -> str:
    if groups is None:
        return "MAP+FC" if spec is None else spec
    listed = LINEAR.of_groups(group, groups)
    return listed if spec is None else f"{spec}+{listed}"


def _pair(channels: Sequence[int]) -> tuple[int, int]:
    if not isinstance(channels, Sequence) or len(channels) != 2:
        raise SpecError(f"channels={channels!r} must be two numbers (in, out), such as (4, 8).")
    return channels[0], channels[1]
