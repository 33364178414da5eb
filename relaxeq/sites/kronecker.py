"""The Kronecker site: the one way in which a parameter meets the data."""

from dataclasses import dataclass
from typing import final

from torch import Tensor

from relaxeq.errors import SiteError
from relaxeq.shapes import Expanded, Weight
from relaxeq.sites.layouts import Layout


@final
@dataclass(frozen=True)
class Site:
    """A parameter θ that acts as z[n,b,s,:] = θ_b a[n,b,s,:], θ_b of shape (out, in).

    `inputs` reads a from the recorded input x, `outputs` reads z (and its gradient g) from the
    recorded output. `shape` is (blocks, out, in); `axes` says in which order the parameter itself
    stores them: its flattened entries run over the axes named there, last one fastest ("boi":
    block, out, in). The gradient of a loss is Σ_{n,s} g aᵀ per block (design of every KFAC block,
    App. C of the paper).
    """

    inputs: Layout
    outputs: Layout
    shape: tuple[int, int, int]
    axes: str = "boi"

    def __post_init__(self) -> None:
        if sorted(self.axes) != sorted("boi"):
            raise SiteError(
                f"axes={self.axes!r} of a site must name block, out and in once each: "
                "write a permutation of 'boi'."
            )
        if not (isinstance(self.shape, tuple) and len(self.shape) == 3):
            raise SiteError(
                f"shape={self.shape!r} of a site must be three numbers: (blocks, out, in)."
            )

    def to_blocks(self, parameter: Tensor) -> Weight:
        """The parameter as (block, out, in)."""
        sizes = dict(zip("boi", self.shape, strict=True))
        if parameter.numel() != self.shape[0] * self.shape[1] * self.shape[2]:
            raise SiteError(
                f"a site of (blocks, out, in) = {self.shape} does not fit a parameter of shape "
                f"{tuple(parameter.shape)}: the number of entries must agree."
            )
        stored = parameter.reshape([sizes[axis] for axis in self.axes])
        return stored.permute([self.axes.index(axis) for axis in "boi"])

    def flat_from_blocks(self, blocks: Tensor) -> Tensor:
        """The inverse of `to_blocks`, flattened in the parameter's own order."""
        return blocks.permute(["boi".index(axis) for axis in self.axes]).reshape(-1)

    def sample_gradients(self, x: Tensor, gradient: Tensor) -> Tensor:
        """Per-datum gradients (batch, block, out, in) from input x and output gradient g."""
        a, g = self._pair(x, gradient)
        return g.mT @ a

    def gradient(self, x: Tensor, gradient: Tensor) -> Weight:
        """Their sum over the data, (block, out, in), without one gradient for each."""
        a, g = (side.transpose(0, 1).flatten(1, 2) for side in self._pair(x, gradient))
        return g.mT @ a

    def _pair(self, x: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        a: Expanded = self.inputs.expand(x)
        g: Expanded = self.outputs.expand(gradient)
        if a.shape[:3] != g.shape[:3]:
            raise SiteError(
                f"a site reads inputs of (batch, blocks, positions) = {tuple(a.shape[:3])} and "
                f"outputs of {tuple(g.shape[:3])}: they must agree; correct one of its layouts."
            )
        return a, g
