"""ASDL 0.1a5 on relaxeq networks: an operation for every site.

`AsdlNetwork(net)` is what ASDL is given in the place of `net`. It calls the network and shows ASDL
every block of every site as a linear map θ_b of shape (out, in), whatever the parameter is called
and however it is stored:

    network = AsdlNetwork(net)
    maker = asdl.KfacGradientMaker(network, asdl.PreconditioningConfig(data_size=len(x)))
    outputs = maker.setup_model_call(network, x)
    maker.setup_loss_call(torch.nn.functional.cross_entropy, outputs, y)
    maker.forward_and_backward()            # net's gradients are now natural gradients

Shapes of the Fisher: "kron", "diag" and "layer_wise" (block by block of a site).
"""

import warnings
from collections.abc import Callable
from typing import Any, final

from torch import Tensor, nn

from relaxeq.errors import SiteError
from relaxeq.interop.missing import MissingExtraError
from relaxeq.sites import Layout, Site, gram_of, hearing, network_sites

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # it compiles with torch.jit at import
        import asdl.core
        from asdl.operations import operation as names
except ImportError as error:  # another distribution is called asdl, too
    raise MissingExtraError(
        "relaxeq.interop.asdl needs ASDL 0.1a5, whose distribution is called asdfghjkl: write "
        "pip install 'relaxeq[asdl]'."
    ) from error


@final
class AsdlNetwork(nn.Module):
    """A network as ASDL sees it: one `SiteBlock` per block of every site of a trained parameter.

    `blocks` maps a parameter's name in `net` to its blocks in order; after a FisherMaker ran, each
    carries its `fisher`. With data_size=N, exact Fisher and all data in one call, `fisher.kron` is
    A_b/(N S) and G_b/N, so A ⊗ B = H_b/N with H_b the block of `relaxeq.kfac`.

    Parameters and modes are those of `net`: train, move and save `net`. Its own layers are hidden
    from ASDL. A parameter may be used once per forward pass; one that is not used must be frozen.
    Raises SiteError otherwise, and for a parameter without site.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        sites = network_sites(net)
        self.blocks = {
            name: tuple(SiteBlock(module.get_parameter(own), site, b) for b in range(site.shape[0]))
            for name, (module, own, site) in sites.items()
        }
        # As children ASDL would find the network's own layers, and treat them its own way.
        object.__setattr__(self, "net", net)
        self._seen_by_asdl = nn.ModuleList(b for blocks in self.blocks.values() for b in blocks)
        self._others = nn.ParameterList(p for n, p in net.named_parameters() if n not in sites)
        self._sites = sites

    net: nn.Module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if not any(block.is_watched for block in self._blocks()):
            return self.net(*args, **kwargs)
        called: set[str] = set()

        def show(name: str, x: Tensor, z: Tensor) -> None:
            _check_call(name, z, called)
            called.add(name)
            for block in self.blocks[name]:
                block(x, z)

        with hearing(self.net, self._sites, show):
            outputs = self.net(*args, **kwargs)
        self._check_called(called)
        return outputs

    def train(self, mode: bool = True) -> "AsdlNetwork":
        self.net.train(mode)
        return super().train(mode)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "AsdlNetwork":
        self.net._apply(fn, recurse)
        return self

    def _blocks(self) -> "list[SiteBlock]":
        return [block for blocks in self.blocks.values() for block in blocks]

    def _check_called(self, called: set[str]) -> None:
        for name, blocks in self.blocks.items():
            if name not in called and blocks[0].parameter.requires_grad:
                raise SiteError(
                    f"parameter {name!r} was not used in this pass, so ASDL has no curvature for "
                    "it: write parameter.requires_grad_(False) before AsdlNetwork(net)."
                )


def _check_call(name: str, z: Tensor, called: set[str]) -> None:
    if name in called:
        raise SiteError(
            f"parameter {name!r} is used twice in one pass, which ASDL counts as twice the data: "
            "use relaxeq.kfac, which counts it as more positions."
        )
    if z.output_nr:
        raise SiteError(
            f"parameter {name!r} gives output {z.output_nr} of a function with several, and ASDL "
            "reads the gradient of the first: tap a copy, z.clone()."
        )


@final
class SiteBlock(nn.Linear):
    """Block b of a site as the linear map that ASDL takes it for: `weight` is θ_b, (out, in).

    `weight` and its `grad` are views of the parameter's own: a gradient that ASDL preconditions in
    place is preconditioned in the network. Calling it with (x, z) of a tap gives z, and lets ASDL's
    hooks see both.
    """

    bias = None  # type: ignore[assignment]

    def __init__(self, parameter: nn.Parameter, site: Site, block: int) -> None:
        nn.Module.__init__(self)  # Linear's own would make a weight
        self.parameter, self.site, self.block = parameter, site, block
        _, self.out_features, self.in_features = site.shape
        object.__setattr__(self, "_weight", nn.Parameter(self._part(parameter.detach())))

    _weight: nn.Parameter

    @property
    def weight(self) -> nn.Parameter:  # type: ignore[override]
        """θ_b and its gradient, as they are now."""
        parameter, shown = self.parameter, self._weight
        shown.grad = None
        shown.data = self._part(parameter.detach())
        shown.requires_grad_(parameter.requires_grad)
        if parameter.grad is not None:
            parameter.grad = parameter.grad.contiguous()  # or the part would be a copy
            shown.grad = self._part(parameter.grad)
        return shown

    @property
    def is_watched(self) -> bool:
        """Whether ASDL has hooks on it."""
        return bool(self._forward_hooks or self._backward_hooks)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:  # type: ignore[override]
        return z

    def _part(self, tensor: Tensor) -> Tensor:
        return self.site.to_blocks(tensor)[self.block]

    def _get_name(self) -> str:
        return "Linear"  # ASDL looks up what a layer costs by its printed name

    def _maybe_warn_non_full_backward_hook(self, *args: Any) -> None:
        """ASDL's kind of hook is deprecated for modules of several functions: this has none."""


@final
class SiteOperation(names.Operation):  # type: ignore[misc]
    """What ASDL asks of a `SiteBlock`, answered by the layouts of its site.

    A = Σ_{n,s} a aᵀ / S and B = Σ_{n,s} g gᵀ, as in ASDL's convolutions.
    """

    supported_operations = frozenset({
        names.OP_COV, names.OP_COV_INV, names.OP_COV_KRON, names.OP_COV_KRON_INV,
        names.OP_COV_DIAG, names.OP_COV_DIAG_INV, names.OP_BATCH_GRADS,
        names.OP_SAVE_INPUTS, names.OP_SAVE_OUTPUTS, names.OP_SAVE_OUTGRADS,
    })  # fmt: skip

    @staticmethod
    def cov_kron_A(module: SiteBlock, in_data: Tensor) -> Tensor:
        layout = module.site.inputs
        return _gram(layout, in_data, module) / layout.shared(in_data)

    @staticmethod
    def cov_kron_B(module: SiteBlock, out_grads: Tensor) -> Tensor:
        return _gram(module.site.outputs, out_grads, module).clone()  # ASDL scales it in place

    @staticmethod
    def batch_grads_weight(module: SiteBlock, in_data: Tensor, out_grads: Tensor) -> Tensor:
        a = module.site.inputs.expand(in_data)[:, module.block]
        g = module.site.outputs.expand(out_grads)[:, module.block]
        return g.mT @ a

    @staticmethod
    def cov_diag_weight(module: SiteBlock, in_data: Tensor, out_grads: Tensor) -> Tensor:
        gradients = SiteOperation.batch_grads_weight(module, in_data, out_grads)
        return gradients.square().sum(0)


def _gram(layout: Layout, tensor: Tensor, module: SiteBlock) -> Tensor:
    """The Gram of one block; of several, only this one is formed."""
    if module.site.shape[0] == 1:
        return layout.gram(tensor)[0]
    return gram_of(layout.expand(tensor)[:, module.block, None])[0]


def _register() -> None:
    """Let ASDL look up operations of site blocks; those of other layers stay its own."""
    known = asdl.core.get_op_class

    def op_class(module: nn.Module) -> Any:
        return SiteOperation if isinstance(module, SiteBlock) else known(module)

    asdl.core.get_op_class = op_class


_register()

__all__ = ["AsdlNetwork", "SiteBlock", "SiteOperation"]
