"""Layouts of sparse filters: patches in a basis, their Grams from correlations."""

from dataclasses import dataclass
from typing import final

import torch
from einops import rearrange, repeat
from torch import Tensor
from torch.nn import functional

from relaxeq.paths.stages.torus import torus_conv
from relaxeq.shapes import Expanded, Gram
from relaxeq.sites import Layout, TorusPatches, gram_of
from relaxeq.sites.correlations import torus_correlations


@final
@dataclass(frozen=True, eq=False)
class Part:
    """Channels of a tensor, and what is read of them: functions f (sheet, M, K, k, k).

    `index` (C·K,) says which channels of the tensor are (c, κ), κ = 1..K; each function reads a
    patch in all K channels: a[n, s, p, (c, m)] = Σ_{κ,δ} f[s, m, κ, δ] x[n, (c, κ), p + δ].
    """

    index: Tensor
    functions: Tensor

    def expand(self, tensor: Tensor) -> Tensor:
        """The features (n, s, p, c, m)."""
        sheets, _, depth = self.functions.shape[:3]
        picked: Tensor = tensor[:, self.index].unflatten(1, (-1, depth)).flatten(0, 1)
        found = torus_conv(picked, self.functions.to(tensor).flatten(0, 1))
        return rearrange(found, "(n c) (s m) h w -> n s (h w) c m", n=len(tensor), s=sheets)

    def gram(self, tensor: Tensor) -> Tensor:
        """Σ_{n,s,p} a aᵀ of shape (C·M, C·M), from correlations of x and of f."""
        _, _, depth, kernel, _ = self.functions.shape
        of_x = torus_correlations(tensor[:, self.index], kernel)
        of_x = rearrange(of_x, "(c k) (e l) y x -> c k e l (y x)", k=depth, l=depth)
        of_f = _correlated(self.functions.to(tensor))
        return torch.einsum("lfkmd,ckeld->cmef", of_f, of_x).flatten(2).flatten(0, 1)


@final
@dataclass(frozen=True, eq=False)
class BasisPatches(Layout):
    """Patches of a torus read by basis functions: features (c, m), shared (sheet, position).

    With A the Gram of patches this is Φ A Φᵀ (App. C.2), summed over the sheets of a group. A
    depends on differences of taps only, A[(c,δ),(e,ε)] = R[c,e,ε−δ], so that
        (Φ A Φᵀ)[(c,m),(e,f)] = Σ_d K[m,f,d] R[c,e,d],   K[m,f,d] = Σ_δ φ_m(δ) φ_f(δ+d):
    neither A nor the features are formed.
    """

    parts: tuple[Part, ...]

    def expand(self, tensor: Tensor) -> Expanded:
        found = torch.cat([part.expand(tensor) for part in self.parts], dim=1)
        return rearrange(found, "n s p c m -> n 1 (s p) (c m)")

    def gram(self, tensor: Tensor) -> Gram:
        return torch.stack([part.gram(tensor) for part in self.parts]).sum(0, keepdim=True)

    def shared(self, tensor: Tensor) -> int:
        sheets = sum(len(part.functions) for part in self.parts)
        return sheets * tensor.shape[2] * tensor.shape[3]


@final
@dataclass(frozen=True, eq=False)
class PairPatches(Layout):
    """Patches read by a basis for each pair of channels: block (o, c), features m.

    `functions` is Φ (C', C, M, k²).
    """

    kernel: int
    functions: Tensor

    def expand(self, tensor: Tensor) -> Expanded:
        phi = self.functions.to(tensor)
        found = torch.einsum("ncpd,ocmd->nocpm", self._patches(tensor), phi)
        return found.flatten(1, 2)

    def gram(self, tensor: Tensor) -> Gram:
        patches, phi = self._patches(tensor), self.functions.to(tensor)
        of_x = torch.einsum("ncpd,ncpe->cde", patches, patches)
        return (phi @ of_x @ phi.mT).flatten(0, 1)

    def shared(self, tensor: Tensor) -> int:
        return tensor.shape[2] * tensor.shape[3]

    def _patches(self, tensor: Tensor) -> Tensor:
        found = TorusPatches(self.kernel).expand(tensor)
        return rearrange(found, "n 1 p (c d) -> n c p d", d=self.kernel**2)


@final
@dataclass(frozen=True)
class PairRows(Layout):
    """Outputs (n, o, h, w), once for each input channel: block (o, c), one feature."""

    channels: int

    def expand(self, tensor: Tensor) -> Expanded:
        return repeat(tensor, "n o h w -> n (o c) (h w) 1", c=self.channels)

    def gram(self, tensor: Tensor) -> Gram:
        squares = gram_of(rearrange(tensor, "n o h w -> n o (h w) 1"))
        return squares.repeat_interleave(self.channels, 0)

    def shared(self, tensor: Tensor) -> int:
        return tensor.shape[2] * tensor.shape[3]


def _correlated(functions: Tensor) -> Tensor:
    """K[(f, λ), (m, κ), d] = Σ_{s,δ} f_m[κ, δ] f_f[λ, δ + d] as (λ, f, κ, m, d)."""
    depth, kernel = functions.shape[2:4]
    rows = rearrange(functions, "s m k y x -> (k m) s y x")
    found = functional.conv2d(functional.pad(rows, (kernel - 1,) * 4), rows)
    return rearrange(found, "(l f) (k m) y x -> l f k m (y x)", l=depth, k=depth)
