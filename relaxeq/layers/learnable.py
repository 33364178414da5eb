"""What every layer that learns its symmetry offers: draws, initial values, a repr."""

from abc import ABC
from typing import TypeVar

import torch
from torch import nn

from relaxeq.layers.path_sum import PathSum
from relaxeq.paths import Bias, InvariantBias, Sparse

L = TypeVar("L", bound="LearnableSymmetry")


class LearnableSymmetry(nn.Module, ABC):
    """A sum of paths and a bias, each off at σ² = 0; a new one builds them and says how it acts."""

    spec: str
    prior: str | Sparse
    paths: PathSum
    bias: Bias | InvariantBias | None

    def sample_prior_(self: L, generator: torch.Generator | None = None) -> L:
        """Draw every path and the bias from its prior, in place; σ² = 0 gives exactly 0."""
        self.paths.sample_prior_(generator)
        if self.bias is not None:
            self.bias.sample_prior_(generator)
        return self

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """He's scale for ReLU networks, shared equally among the paths; the bias starts at 0."""
        self.paths.reset_parameters(2.0**0.5, generator)
        if self.bias is not None:
            nn.init.zeros_(self.bias.value)

    def extra_repr(self) -> str:
        shown = f"{self.source} -> {self.target}, spec={self.spec!r}"
        return shown if self.prior == "anchors" else f"{shown}, prior={self.prior!r}"
