"""laplace-torch 0.3 on relaxeq networks: a backend whose curvature comes from sites.

    from laplace import Laplace
    from relaxeq.interop.laplace import SiteGGN, prior_precisions

    la = Laplace(net, "classification", "all", "kron", backend=SiteGGN)
    la.fit(train_loader)
    la.prior_precision = prior_precisions(net)      # α of every parameter, as relaxeq learned them
    la.log_marginal_likelihood(), la(x, pred_type="glm")

Structures "kron" (per-block KFAC of `relaxeq.kfac`), "diag" and "full" are those of laplace-torch.
Its "kron" takes parameters of at most 4 axes and cannot load what it saved; "sites" is the same
without these limits.
"""

import math
import warnings
from typing import Any, final

import torch
from torch import Tensor, nn

from relaxeq.curvature import Block, Estimate, Pass, estimate
from relaxeq.curvature.recording import Recording, recorded
from relaxeq.errors import SiteError, SpecError
from relaxeq.interop.missing import MissingExtraError
from relaxeq.recipe import prior_groups
from relaxeq.sites import Site, network_sites

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # its ASDL compiles with torch.jit
        from laplace import KronLaplace
        from laplace.curvature import GGNInterface

    from relaxeq.interop.laplace_factors import SiteKron
except ImportError as error:
    raise MissingExtraError(
        "relaxeq.interop.laplace needs laplace-torch 0.3, which needs ASDL 0.1a4, not the 0.1a5 of "
        "relaxeq.interop.asdl: write pip install 'relaxeq[laplace]' in an environment of its own."
    ) from error


@final
class SiteGGN(GGNInterface):  # type: ignore[misc]
    """The Gauss–Newton matrix H = Σ_n J_nᵀ Λ_n J_n of every site, as laplace-torch asks for it.

    kron, diag: as `relaxeq.estimate` gives them in the flavours "kfac" and "diagonal", summed over
    the batch; full: all parameters together, from Jacobians. Losses are −log p(y|f) as of
    laplace-torch. `stochastic=True` draws one label per datum.

    Raises SiteError for a trained parameter without prior (`relaxeq.deterministic`), since
    laplace-torch gives one to every trained parameter, and SpecError for parts of a network.
    """

    def __init__(self, model: nn.Module, likelihood: str, **options: Any) -> None:
        if options.get("last_layer") or options.get("subnetwork_indices") is not None:
            raise SpecError(
                "SiteGGN knows whole parameters only: write subset_of_weights='all', and "
                "parameter.requires_grad_(False) for what shall stay fixed."
            )
        if options.get("num_samples", 1) != 1:
            raise SpecError(
                f"num_samples={options['num_samples']} of SiteGGN must be 1 label per datum."
            )
        super().__init__(model, likelihood, **options)
        self.sites = trained_sites(model)

    def kron(self, x: Tensor, y: Tensor, N: int) -> tuple[Tensor, SiteKron]:  # noqa: N803
        """Loss, and KFAC factors summed over the batch; N is not needed to sum them."""
        found = self._estimate(x, y, "kfac")
        return self._loss(found, y), SiteKron.of_blocks([found.blocks[n] for n in self.sites])

    def diag(self, x: Tensor, y: Tensor, **_: Any) -> tuple[Tensor, Tensor]:
        """Loss, and the diagonal of H (P,) in the order of the parameters."""
        found = self._estimate(x, y, "diagonal")
        parts = [self._flat(found.blocks[name]) for name in self.sites]
        return self._loss(found, y), torch.cat(parts)

    def jacobians(self, x: Tensor, enable_backprop: bool = False) -> tuple[Tensor, Tensor]:
        """∂f/∂θ (batch, out, P), rebuilt from sites, and f (batch, out)."""
        if enable_backprop:
            raise SpecError("enable_backprop=True needs another backend: SiteGGN detaches.")
        recording = recorded(self.model, x, network_sites(self.model))
        outputs = recording.outputs
        ones = torch.eye(outputs.shape[1]).to(outputs)
        rows = [self._row(recording, column.expand_as(outputs)) for column in ones]
        return torch.stack(rows, 1), outputs.detach()

    def _row(self, recording: Recording, column: Tensor) -> Tensor:
        gradients = recording.gradients(column, keep=True)
        with torch.no_grad():
            return torch.cat([self._of_site(recording, gradients, n) for n in self.sites], 1)

    def _of_site(
        self, recording: Recording, gradients: dict[str, list[Tensor]], name: str
    ) -> Tensor:
        site = self.sites[name]
        if name not in gradients:
            return recording.outputs.new_zeros(len(recording.outputs), math.prod(site.shape))
        pairs = zip(recording.calls[name], gradients[name], strict=True)
        whole = torch.stack([site.sample_gradients(call.x, g) for call, g in pairs]).sum(0)
        return whole.permute(0, *(1 + "boi".index(axis) for axis in site.axes)).flatten(1)

    def _estimate(self, x: Tensor, y: Tensor, flavour: str) -> Estimate[Block]:
        settings = Pass(self.likelihood, "mc" if self.stochastic else "exact")
        return estimate(self.model, [(x, y)], settings, flavour)

    def _loss(self, found: Estimate[Block], y: Tensor) -> Tensor:
        constant = 0.5 * math.log(2 * math.pi) * y.numel()  # laplace-torch adds it by itself
        of_outputs = constant if self.likelihood == "regression" else 0.0
        return torch.tensor(-found.log_likelihood - of_outputs, dtype=torch.float64)

    def _flat(self, block: Block) -> Tensor:
        return block.site.flat_from_blocks(block.eigenvalues().view(block.site.shape))


@final
class SiteLaplace(KronLaplace):  # type: ignore[misc]
    """KFAC Laplace with `hessian_structure="sites"` and `backend=SiteGGN`: any parameter shape."""

    _key = ("all", "sites")

    def _init_H(self) -> None:  # noqa: N802
        self.H = SiteKron(list(trained_sites(self.model).values()), [])


def trained_sites(net: nn.Module) -> dict[str, Site]:
    """The site of every trained parameter, in the order in which laplace-torch stacks them."""
    found = network_sites(net)
    for name, parameter in net.named_parameters():
        if parameter.requires_grad and name not in found:
            raise SiteError(
                f"parameter {name!r} is trained but has no prior, and laplace-torch gives one to "
                "all that require grad: write requires_grad_(False) on it after training."
            )
    return {name: site for name, (_, _, site) in found.items()}


def prior_precisions(net: nn.Module) -> Tensor:
    """α = 1/σ² of every trained parameter, of its path or 1, in laplace-torch's order.

    Raises SpecError for a path that is off, whose precision is infinite.
    """
    of_name = {name: group for group in prior_groups(net) for name in group.parameters}
    for name, group in of_name.items():
        if math.isinf(group.precision):
            raise SpecError(
                f"prior_variance=0.0 of {group.name!r} is an infinite precision, which "
                f"laplace-torch cannot take: write requires_grad_(False) on {name!r}."
            )
    return torch.tensor([of_name[name].precision for name in trained_sites(net)])
