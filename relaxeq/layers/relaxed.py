"""RelaxedLayer: a sum of paths between two fields (Eqs. 4 and 11)."""

from collections.abc import Iterable
from typing import final

from torch import Tensor

from relaxeq.arguments import is_count
from relaxeq.errors import ShapeError, SpecError
from relaxeq.fields import Field
from relaxeq.groups import FiniteGroup, Subgroup
from relaxeq.layers.grid import FieldType, GridLayer, as_field
from relaxeq.layers.learnable import LearnableSymmetry
from relaxeq.layers.path_sum import PathSum
from relaxeq.layers.polyphase import polyphase
from relaxeq.paths import Bias, Frame, Path, Sparse, build_paths, spec_of_groups
from relaxeq.shapes import Matrix


@final
class RelaxedLayer(LearnableSymmetry, GridLayer):
    """y = Σ_paths W_path x + b: as much of each symmetry as the priors of its paths allow.

    `paths` maps each name of the spec to its path, with its own σ². With the less symmetric paths
    at σ² = 0 the layer is strictly equivariant. `stride=2` halves the grid: FC, F-FC and S-FC map
    straight to the coarse grid, convolutions are summed on the fine grid and share one polyphase
    choice per datum (App. F.2), since a phase per path would break equivariance.
    `filters` says how GCONV mixes orientations: "full", "separable", "depthwise-separable" or
    "pointwise" (App. F.3); CONV is full over channels and orientations always. `groups` adds a path
    for each of a list of subgroups K of the fields' point group (Eq. 11), labelled "GCONV[p4]" and
    "CONV" for {e}; specs name them so too. `prior` says whether sparse paths (S-FC, S-CONV, …) have
    theirs on "anchors" or on "lengthscales" (§3.2), or in a `Sparse` all that they are. Without
    `spec` or `groups` the layer is "F-FC+CONV". Fields may be escnn field types, with `size` the
    grid of the source.
    """

    def __init__(  # noqa: PLR0913  (the contract's options)
        self,
        source: Field | FieldType,
        target: Field | FieldType,
        spec: str | None = None,
        *,
        kernel_size: int = 3,
        stride: int = 1,
        filters: str = "pointwise",
        prior: str | Sparse = "anchors",
        bias: bool = True,
        groups: Iterable[FiniteGroup | Subgroup | str] | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        source, target = _fields(source, target, size, stride)
        _check_grids(source, target, kernel_size, stride)
        super().__init__(source, target)
        self.spec = _spec(source, spec, groups)
        self.stride, self.filters, self.prior = int(stride), filters, prior
        frame = Frame(source, target, int(kernel_size), filters, prior=prior)
        self.paths: PathSum = PathSum(build_paths(frame, self.spec))
        self.bias = Bias(target) if bias else None
        self.reset_parameters()

    def transform(self, x: Tensor) -> Tensor:
        self.paths.check(x)
        direct = [path for path in self.active() if path.out_shape == self.target.shape]
        fine = self._on_fine_grid()
        terms: list[Tensor] = [polyphase(self.paths(x, fine))] if fine else []
        if direct:
            terms.append(self.paths(x, direct))
        y = sum(terms[1:], terms[0]) if terms else x.new_zeros(x.shape[0], *self.target.shape)
        return y if self.bias is None else self.bias(y)

    def active(self) -> list[Path]:
        """The paths that are not switched off."""
        return self.paths.active()

    def _on_fine_grid(self) -> list[Path]:
        """The active paths that end on the source's grid, where the target's is coarser."""
        return [path for path in self.active() if path.out_shape != self.target.shape]

    def matrix(self) -> Matrix:
        """The dense (out.dim, in.dim) map Σ W_path without the bias, for small fields.

        A layer with stride 2 and convolutions is not linear (the phase depends on the datum):
        ask each `layer.paths[name].matrix()` instead.
        """
        if self._on_fine_grid():
            raise ShapeError(
                "matrix() of a layer with stride=2: its polyphase choice depends on the datum, so "
                "it has no matrix. Write layer.paths[name].matrix() for the linear parts."
            )
        return self.paths.matrix(self.target.dim, self.source.dim)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, stride={self.stride}"


def _spec(source: Field, spec: str | None, groups: Iterable[object] | None) -> str:
    """The spec and the paths of `groups` after it; the paper's F-FC+CONV if neither is given."""
    if groups is None:
        return "F-FC+CONV" if spec is None else spec
    listed = spec_of_groups(source.group.point_group, groups)
    return listed if spec is None else f"{spec}+{listed}"


def _fields(
    source: Field | FieldType, target: Field | FieldType, size: tuple[int, int] | None, stride: int
) -> tuple[Field, Field]:
    if not is_count(stride) or stride not in (1, 2):
        raise SpecError(f"stride={stride!r} must be 1 or 2; stack layers to subsample more.")
    into = as_field("source", source, size)
    coarse = (into.size[0] // stride, into.size[1] // stride)
    return into, target if isinstance(target, Field) else as_field("target", target, coarse)


def _check_grids(source: Field, target: Field, kernel_size: int, stride: int) -> None:
    if source.group != target.group:
        raise SpecError(
            f"source has {source.group}, target has {target.group}: a layer needs one group."
        )
    if not is_count(kernel_size) or kernel_size % 2 == 0:
        raise SpecError(f"kernel_size={kernel_size!r} must be a positive odd integer, such as 3.")
    if any(n % stride for n in source.size):
        raise SpecError(
            f"stride=2 cannot halve the odd grid {source.size} of source: pad to an even size, or "
            "use stride=1."
        )
    expected = tuple(n // stride for n in source.size)
    if target.size != expected:
        raise SpecError(
            f"target has size {target.size}, but stride={stride} maps {source.size} to {expected}: "
            f"write size={expected} or another stride."
        )
    reach = kernel_size // 2
    if any(reach > n for n in source.size):
        raise SpecError(
            f"kernel_size={kernel_size} reaches {reach} pixels, more than the grid {source.size}: "
            "use a smaller kernel."
        )
