"""Tracing: what goes into and comes out of every module during one forward pass."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, final

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from relaxeq.paths import Path


@final
@dataclass
class Call:
    """One call of a module: copies of its arguments and of its output."""

    name: str
    module: nn.Module
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    output: Any = None


@final
@dataclass
class Trace:
    """All calls of one forward pass, in the order in which they began."""

    calls: list[Call] = field(default_factory=list)
    open: list[Call] = field(default_factory=list)


def traced(network: nn.Module, run: Callable[[], object]) -> list[Call]:
    """The calls of the network's submodules (not of itself) while `run` runs."""
    trace = Trace()
    with _hooked(network, trace):
        run()
    return trace.calls


def tensor_of(value: Any) -> Tensor | None:
    """The tensor itself, or the one in an escnn GeometricTensor; None for anything else."""
    inner = getattr(value, "tensor", None) if hasattr(value, "type") else None
    found = value if isinstance(value, Tensor) else inner
    return found if isinstance(found, Tensor) and found.is_floating_point() else None


def with_tensor(value: Any, tensor: Tensor) -> Any:
    """`tensor`, dressed as `value` is."""
    return tensor if isinstance(value, Tensor) else value.type(tensor)


def as_met(tensor: Tensor, met: Any) -> Any:
    """A copy of `tensor` to write on, dressed as `met` is, with gradients where `met` had them."""
    inner = tensor_of(met)
    assert inner is not None
    # The clone is no leaf: on leaves with gradients torch forbids to write.
    return with_tensor(met, tensor.detach().requires_grad_(inner.requires_grad).clone())


def copied(value: Any) -> Any:
    """The value with tensors of its own, outside of the graph that made them."""
    tensor = value if isinstance(value, Tensor) else tensor_of(value)
    if tensor is None:
        return value
    return with_tensor(value, tensor.detach().clone().requires_grad_(tensor.requires_grad))


@contextmanager
def _hooked(network: nn.Module, trace: Trace) -> Iterator[None]:
    handles: list[RemovableHandle] = []
    for name, module in _watched(network):
        handles += [
            module.register_forward_pre_hook(_opener(name, trace), with_kwargs=True),
            module.register_forward_hook(_closer(trace)),
        ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _watched(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """All submodules; a path counts as one, whatever it is made of."""
    inner = {id(part) for path in _paths(network) for part in path.modules() if part is not path}
    for name, module in network.named_modules():
        if module is not network and id(module) not in inner:
            yield name, module


def _paths(network: nn.Module) -> list[Path]:
    return [module for module in network.modules() if isinstance(module, Path)]


def _opener(name: str, trace: Trace) -> Callable[..., None]:
    def begin(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        # Copies, since modules that work in place would overwrite what was recorded.
        kept = {key: copied(value) for key, value in keywords.items()}
        call = Call(name, module, tuple(map(copied, arguments)), kept)
        trace.calls.append(call)
        trace.open.append(call)

    return begin


def _closer(trace: Trace) -> Callable[..., None]:
    def end(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        trace.open.pop().output = copied(output)

    return end
