"""The Laplace posterior of the weights, and what it says of the outputs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor, nn

from relaxeq.arguments import check_precision
from relaxeq.curvature.blocks import Block
from relaxeq.curvature.precision import no_autocast, wide
from relaxeq.curvature.recording import Recording, recorded
from relaxeq.errors import SpecError
from relaxeq.likelihoods import Categorical, Likelihood
from relaxeq.shapes import Logits
from relaxeq.sites import Site, Sites, network_sites


@final
@dataclass(frozen=True, eq=False)
class Posterior:
    """N(θ*, ⊕ (H + α I)⁻¹) around the trained weights: a block per parameter (§4).

    `precisions` holds α by parameter; a parameter with α = ∞ has no variance. `likelihood` says
    what outputs mean. Raises SpecError unless every trained parameter has a block and a positive α.
    """

    net: nn.Module
    blocks: Mapping[str, Block]
    precisions: Mapping[str, float]
    likelihood: Likelihood = Categorical()

    def __post_init__(self) -> None:
        for name in self._sites():
            for given in ("blocks", "precisions"):
                if name not in getattr(self, given):
                    raise SpecError(
                        f"{given} lacks {name!r}: give one per trained parameter, or write "
                        "requires_grad_(False) on those without variance."
                    )
            check_precision(f"precisions[{name!r}]", self.precisions[name])

    def tempered(self, temperature: float) -> "Posterior":
        """N(θ*, T (H + α)⁻¹): T below 1 is colder, and trusts the trained weights more.

        Raises SpecError unless T is positive and finite.
        """
        if not 0 < temperature < float("inf"):
            raise SpecError(
                f"temperature={temperature} must be positive and finite; 1 changes nothing."
            )
        blocks = {name: block.scaled(1 / temperature) for name, block in self.blocks.items()}
        precisions = {name: alpha / temperature for name, alpha in self.precisions.items()}
        return replace(self, blocks=blocks, precisions=precisions)

    def covariance(self, inputs: Tensor) -> tuple[Logits, Tensor]:
        """Outputs f (batch, out) and J (H+α)⁻¹ Jᵀ (batch, out, out) of the linearised network."""
        recording = recorded(self.net, inputs, self._sites())
        outputs = recording.outputs
        size = outputs.shape[1]
        total = wide(outputs).new_zeros(len(outputs), size, size)
        columns = [torch.eye(size).to(outputs)[k].expand_as(outputs) for k in range(size)]
        rows = [recording.gradients(column, keep=True) for column in columns]
        with torch.no_grad(), no_autocast(outputs):
            for name, (_, _, site) in self._sites().items():
                if name not in recording.calls or self._fixed(name):
                    continue
                roots = [self._root(name, site, recording, row[name]) for row in rows]
                stacked = torch.stack(roots, 1).flatten(2)  # (n, out, P)
                total += stacked @ stacked.mT
        return wide(outputs.detach()), total

    def _root(self, name: str, site: Site, recording: Recording, row: list[Tensor]) -> Tensor:
        pairs = zip(recording.calls[name], row, strict=True)
        gradients = [site.sample_gradients(wide(call.x), wide(g)) for call, g in pairs]
        whole = torch.stack(gradients).sum(0)
        return self.blocks[name].inverse_root(whole, self.precisions[name])

    @contextmanager
    def sampled(self, generator: torch.Generator | None = None) -> Iterator[nn.Module]:
        """The network with weights drawn from the posterior, put back afterwards."""
        kept = [(p, p.detach().clone()) for p in self._parameters().values()]
        try:
            self._draw(generator)
            yield self.net
        finally:
            with torch.no_grad():
                for parameter, value in kept:
                    parameter.copy_(value)

    @torch.no_grad()
    def _draw(self, generator: torch.Generator | None) -> None:
        parameters = self._parameters()
        for name, (_, _, site) in self._sites().items():
            if self._fixed(name):
                continue
            parameter = parameters[name]
            noise = torch.randn((1, *site.shape), generator=generator, dtype=parameter.dtype)
            step = self.blocks[name].inverse_root(noise.to(parameter), self.precisions[name])
            parameter.add_(site.flat_from_blocks(step[0]).view_as(parameter))

    def _fixed(self, name: str) -> bool:
        return self.precisions[name] == float("inf")

    def _sites(self) -> Sites:
        return network_sites(self.net)

    def _parameters(self) -> dict[str, nn.Parameter]:
        return {name: m.get_parameter(own) for name, (m, own, _) in self._sites().items()}
