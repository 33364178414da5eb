"""Tapes: recordings of a forward pass that keep their graph, to be differentiated once more."""

from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from relaxeq.sites import Site, Wanted, hearing, network_sites


@final
@dataclass
class Tape:
    """The outputs of a network, and per parameter its site and its calls x ↦ z, none detached."""

    outputs: Tensor
    sites: dict[str, Site]
    wanted: Wanted
    calls: dict[str, list[tuple[Tensor, Tensor, GradientEdge | None]]] = field(default_factory=dict)

    def input_grams(self, name: str) -> list[Tensor]:
        """Σ a aᵀ of each call, differentiable."""
        return [self.sites[name].inputs.gram(x) for x, _, _ in self.calls.get(name, [])]

    def gradients(self, column: Tensor, names: list[str]) -> dict[str, list[Tensor]]:
        """Σ g gᵀ of each call, g = ∂(f·column)/∂z, differentiable."""
        edges = [
            (name, edge)
            for name in names
            for _, _, edge in self.calls.get(name, [])
            if edge is not None
        ]
        found: dict[str, list[Tensor]] = {name: [] for name in names}
        if not edges:
            return found
        with self.wanted.activations_only():
            every = torch.autograd.grad(
                self.outputs,
                [edge for _, edge in edges],
                column,
                create_graph=True,
                allow_unused=True,
            )
        for (name, _), gradient in zip(edges, every, strict=True):
            if gradient is not None:
                found[name].append(self.sites[name].outputs.gram(gradient))
        return found


def record(net: nn.Module, inputs: Tensor) -> Tape:
    """One forward pass, every tap kept with its graph."""
    known = network_sites(net)
    calls: dict[str, list[tuple[Tensor, Tensor, GradientEdge | None]]] = {}

    def take(name: str, x: Tensor, z: Tensor) -> None:
        edge = get_gradient_edge(z) if z.requires_grad else None
        calls.setdefault(name, []).append((x, z, edge))

    with hearing(net, known, take) as wanted:
        outputs: Tensor = net(inputs)
    return Tape(outputs, {full: site for full, (_, _, site) in known.items()}, wanted, calls)
