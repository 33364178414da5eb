"""What sparse paths share: anchors u, their locations z, and a lengthscale ω (§3.1, §3.2)."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import final

import torch
from torch import Tensor, nn
from torch.autograd import functional

from relaxeq.paths.base import GaussianModule, Path
from relaxeq.paths.sparse.basis import Basis, White, whitened
from relaxeq.paths.sparse.options import Sparse
from relaxeq.sites import Ones, Rearranged, Site, deterministic, is_listening, tap

Functions = Mapping[str, Tensor]
Show = Callable[[str, Tensor, Tensor], Tensor]


@final
class Amplitudes(GaussianModule):
    """Anchors u with a prior N(u | 0, σ_u² I) of their own, where the path's σ² is that of ω."""

    def __init__(self, label: str) -> None:
        super().__init__(label)
        self.sites_of_path: Callable[[], dict[str, Site]] = dict

    def sites(self) -> dict[str, Site]:
        """The sites of u, as the path that holds this says."""
        return self.sites_of_path()

    def extra_repr(self) -> str:
        return f"{self.size} anchors, prior_variance={self.prior_variance:.3g}"


class SparsePath(Path, ABC):
    """Weights s(c', c, p) = Σ_j u_j(c', c) φ_j(p; ω), one basis for every factor.

    prior="anchors": u ~ N(0, σ² I); σ² = 0 switches the path off. prior="lengthscales":
    ω ~ N(0, σ² I), and u lies in `amplitudes`, with its own σ_u²; σ² = 0 makes ω = 0, functions
    constant and weights stationary: the path stays, unless amplitudes.prior_variance = 0.

    A new path writes `respond`, `anchor_sites`, `pair_slopes`, `reset_anchors` and `symmetry`, and
    calls `reset_parameters` when it is built.
    """

    omega: Tensor

    def __init__(
        self,
        label: str,
        shapes: tuple[tuple[int, ...], tuple[int, ...]],
        pairs: tuple[int, int],
        factors: Mapping[str, tuple[Basis, tuple[int, ...]]],
        options: Sparse,
    ) -> None:
        """`shapes` of in and out, pairs = (C', C), and per factor u, u1, … its basis and shape."""
        amplitudes = Amplitudes(f"{label} anchors") if options.omega_has_prior else None
        super().__init__(label, *shapes, amplitudes)
        self.options, self.pairs = options, pairs
        self._starts = {name: basis.start for name, (basis, _) in factors.items()}
        self.bases = nn.ModuleDict({name: basis for name, (basis, _) in factors.items()})
        for name, (basis, shape) in factors.items():
            self.holder.register_parameter(name, nn.Parameter(torch.empty(*shape)))
            if options.learn_anchors:
                start = torch.tensor(basis.start, dtype=torch.get_default_dtype())
                self.register_parameter(_location(name), nn.Parameter(start))
        learned = options.omega_has_prior or options.learn_omega
        omega = torch.full(pairs if options.per_pair else (), float(options.omega))
        if learned:
            self.omega = nn.Parameter(omega)
        else:
            self.register_buffer("omega", omega)
        if amplitudes is not None:
            amplitudes.sites_of_path = self.anchor_sites
        elif learned:
            deterministic(self, "omega")
        if options.learn_anchors:
            deterministic(self, *map(_location, factors))

    @abstractmethod
    def respond(self, x: Tensor, functions: Functions, show: Show) -> Tensor:
        """y of x under the weights u Φ, linear in each Φ; show(name, x, z) taps the site of u."""

    @abstractmethod
    def anchor_sites(self) -> dict[str, Site]:
        """The Kronecker sites of u: the dense twin's, projected by Φ (App. C.2)."""

    @abstractmethod
    def pair_slopes(self, x: Tensor, functions: Functions, slopes: Functions) -> Tensor:
        """∂y/∂ω(c', c) for each pair, of shape (batch, C', C, places of y)."""

    @abstractmethod
    def reset_anchors(
        self, start: Mapping[str, White], gain: float, generator: torch.Generator | None
    ) -> None:
        """Draw u so that outputs have gain² times the mean square of inputs as ReLU leaves them."""

    @property
    @final
    def holder(self) -> GaussianModule:
        """The module whose parameters u are: the path itself, or its `amplitudes`."""
        return self.amplitudes or self

    @property
    @final
    def stationary(self) -> bool:
        """Whether the prior forces ω = 0."""
        return self.options.omega_has_prior and self.prior_variance == 0.0

    @final
    def functions(self, omega: Tensor | None = None) -> dict[str, Tensor]:
        """Φ (M, n), or (C', C, M, n), of each factor; at the path's own ω unless one is given."""
        if omega is None:
            omega = torch.zeros_like(self.omega) if self.stationary else self.omega
        return {name: basis(omega, self._moved(name)) for name, basis in self.bases.items()}

    @final
    def locations(self, name: str) -> Tensor:
        """Where the anchors of a factor lie, (M, 2), in pixels."""
        moved = self._moved(name)
        return torch.from_numpy(self._starts[name]) if moved is None else moved

    def _moved(self, name: str) -> Tensor | None:
        z: Tensor | None = getattr(self, _location(name)) if self.options.learn_anchors else None
        return z

    @final
    def anchors(self, name: str) -> Tensor:
        """The parameter u of a factor."""
        found: Tensor = getattr(self.holder, name)
        return found

    def forward(self, x: Tensor) -> Tensor:
        if is_listening() and self.options.omega_has_prior and not self.stationary:
            return self._recorded(x)
        return self.respond(x, self.functions(), self._show)

    @final
    def _recorded(self, x: Tensor) -> Tensor:
        """Forward, with ω as it acts to first order: y + (ω − ω₀) ∂y/∂ω, ω₀ = ω."""
        omega = self.omega.detach()
        functions, slopes = self.functions(omega), self._slopes(omega)
        y = self.respond(x, functions, self._show)
        step = self.omega - omega  # 0, with the gradient of ω
        if self.options.per_pair:
            found = self.pair_slopes(x, functions, slopes)
            moved = tap(self, "omega", found, torch.einsum("oc,nocp->nop", step, found))
            return y + moved.reshape(y.shape)
        slope = sum(self.respond(x, {**functions, k: slopes[k]}, _hide) for k in functions)
        one = tap(self, "omega", x, step.expand(len(x), 1))
        return y + one.view(-1, *[1] * (y.ndim - 1)) * slope

    @final
    def _slopes(self, omega: Tensor) -> dict[str, Tensor]:
        """∂Φ/∂ω of each factor."""

        def at(value: Tensor) -> tuple[Tensor, ...]:
            return tuple(self.functions(value).values())

        _, found = functional.jvp(at, omega, torch.ones_like(omega), create_graph=True)
        return dict(zip(self.bases, found, strict=True))

    @final
    def sites(self) -> dict[str, Site]:
        found = {} if self.amplitudes else self.anchor_sites()
        if self.options.omega_has_prior:
            found["omega"] = self._omega_site()
        return found

    @final
    def _omega_site(self) -> Site:
        """One ω has an exact block, as a bias has; ω(c', c) a Kronecker block per c'."""
        if not self.options.per_pair:
            return Site(Ones(), Rearranged("n p -> n 1 1 p"), (1, 1, 1))
        inputs = Rearranged("n o c p -> n o p c")
        return Site(inputs, Rearranged("n o p -> n o p 1"), (self.pairs[0], 1, self.pairs[1]))

    @final
    @torch.no_grad()
    def reset_parameters(self, gain: float = 1.0, generator: torch.Generator | None = None) -> None:
        if self.omega.is_meta:
            return  # it has no values
        self.omega.fill_(self.options.omega)
        for name, first in self._starts.items():
            if (z := self._moved(name)) is not None:
                z.copy_(torch.from_numpy(first))
        start = {name: whitened(phi) for name, phi in self.functions().items()}
        self.reset_anchors(start, gain, generator)

    @final
    def draw(self, name: str, white: White, std: float, generator: torch.Generator | None) -> None:
        """Fill u of a factor with ξ T, ξ ~ N(0, std²): white weights, as dense ones start.

        Equal anchors ~ N(0, σ²) would make weights smooth, and what inputs have in common would
        soon outweigh what tells them apart.
        """
        parameter, (rank, count) = self.holder.get_parameter(name), white.anchors.shape
        shape = (parameter.numel() // count, rank)
        noise = torch.empty(shape, dtype=parameter.dtype).normal_(generator=generator)
        drawn = std * noise.double() @ white.anchors
        parameter.copy_(drawn.view(parameter.shape))

    def _show(self, name: str, x: Tensor, z: Tensor) -> Tensor:
        return tap(self.holder, name, x, z)


def spread(u: Tensor, functions: Tensor) -> Tensor:
    """u Φ: (C', C, M) and (M, n) or (C', C, M, n) to (C', C, n)."""
    return u @ functions if functions.ndim == 2 else torch.einsum("ocm,ocmp->ocp", u, functions)


def _location(name: str) -> str:
    """The name of the locations of the anchors of a factor: u1 ↦ z1."""
    return "z" + name[1:]


def _hide(name: str, x: Tensor, z: Tensor) -> Tensor:
    return z
