"""Is a module equivariant, and if not, which part of it is not?"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from relaxeq.errors import EquivarianceError, GroupError, NumericsError, ShapeError, SpecError
from relaxeq.fields import Field
from relaxeq.paths import Vectors
from relaxeq.testing.actions import AnyElement, action_of
from relaxeq.testing.buffers import kept_buffers
from relaxeq.testing.comparison import moved, relative_error, scale_between
from relaxeq.testing.elements import AnyGroup, group_on, telling_elements
from relaxeq.testing.modules import Probe, module_errors
from relaxeq.testing.report import EquivarianceReport, first_fault
from relaxeq.testing.tracing import tensor_of

TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-4}
COARSE = 3e-2  # float16 and bfloat16


def equivariance_error(
    module: nn.Module | Callable[[Tensor], Tensor],
    field_in: Field | Vectors | Any,
    field_out: Field | Vectors | Any = None,
    group: AnyGroup | None = None,
    elements: Sequence[AnyElement] | AnyElement | None = None,
    tolerance: float | None = None,
    x: Tensor | None = None,
) -> EquivarianceReport:
    """How far `module` is from f(a·x) = a·f(x): per element a, and per submodule if it is too far.

    module: a module, or a plain function of x.
    field_in, field_out: what enters and leaves: a Field, `Vectors`, or an escnn FieldType (give
    `x` and `group` then). field_out=None means that outputs must not change, as logits.
    group: the group, or a subgroup of the fields' one, to test; the fields' group if left out.
    elements: the elements to test, or one; if left out, generators of the group (shifts of the
    torus among them), every element of the point group composed with a shift, and longer shifts
    where the output is coarser or no grid; without grids all elements, or 60 drawn from seed 0.
    tolerance: largest relative error allowed; 1e-4 in float32, 1e-10 in float64 if left out.
    x: features to test on; four standard normal data from seed 0 if left out, in the dtype and on
    the device of the module's parameters.

    The error under a is max |f(a·x) − a·f(x)| / max |f(x)|, over a batch of which a moves every
    second datum (first the one half, then the other), so that outputs which feel how their
    neighbours moved count as errors. What no element changes, such as the mean over a batch
    that BatchNorm subtracts, may tie the data together. Where the output grid is coarser by a
    factor r, a shift d may arrive as ⌊d/r⌋ or ⌈d/r⌉ per axis and datum.
    The module is run as it is, in train or eval mode and with gradients unless you switch them off,
    escnn modules on GeometricTensors; each time on a copy of x, and its buffers are put back.
    Raises SpecError, ShapeError or NumericsError where nothing can be concluded: chance in the
    module, shapes other than the fields', outputs that are not finite.
    """
    network = _as_module(module)
    with kept_buffers(network):
        probe = probed(network, field_in, field_out, group, elements, x)
        report = measured(probe, tolerance)
        return report if report.equivariant else inspected(probe, report)


def assert_equivariant(
    module: nn.Module | Callable[[Tensor], Tensor],
    field_in: Field | Vectors | Any,
    field_out: Field | Vectors | Any = None,
    group: AnyGroup | None = None,
    elements: Sequence[AnyElement] | AnyElement | None = None,
    tolerance: float | None = None,
    x: Tensor | None = None,
) -> None:
    """Raise EquivarianceError, naming worst element, error and module at fault, or return None.

    Arguments as in `equivariance_error`.
    """
    report = equivariance_error(module, field_in, field_out, group, elements, tolerance, x)
    if not report.equivariant:
        what = "f(a·x) = f(x)" if field_out is None else "f(a·x) = a·f(x)"
        raise EquivarianceError(
            f"{report.kind} does not satisfy {what}: worst relative error {report.worst}, "
            f"tolerance {report.tolerance:.0e}, {len(report.errors)} elements tested. "
            f"{report.verdict}"
        )


def inspected(probe: Probe, report: EquivarianceReport) -> EquivarianceReport:
    """The report, with every submodule tested by itself and the first one at fault named."""
    modules, unseen = module_errors(probe)
    fault = None if report.equivariant else first_fault(modules, report.tolerance)
    return replace(report, modules=modules, fault=fault, unseen=unseen)


def probed(
    module: nn.Module | Callable[[Tensor], Tensor],
    field_in: Any,
    field_out: Any,
    group: AnyGroup | None,
    elements: Sequence[AnyElement] | AnyElement | None,
    x: Tensor | None,
) -> Probe:
    """The module with the features and elements to test it on, after a first look at its output."""
    entering, leaving = action_of(field_in), action_of(field_out)
    network = _as_module(module)
    features = _features(network, field_in, x)
    given = _chosen(elements)
    run = _runner(network)
    before = _checked_output(run, features, field_out)
    chosen = given or telling_elements(
        group_on(entering, _group(field_in, group), features), features, before
    )
    return Probe(network, run, features, before, chosen, (entering, leaving))


def measured(probe: Probe, tolerance: float | None) -> EquivarianceReport:
    """The errors of the whole module, element by element; no submodules."""
    if tolerance is not None and not (isinstance(tolerance, Real) and 0 <= tolerance < math.inf):
        raise SpecError(f"tolerance={tolerance!r} must be a relative error such as 1e-10.")
    entering, leaving = probe.known
    scale = scale_between(probe.x, probe.before)
    runs = (probe.run(moved(entering, a, probe.x, turn)) for a, turn in probe.moves)
    errors = probe.errors(
        relative_error(leaving, a, scale, found, probe.before, turn)
        for (a, turn), found in zip(probe.moves, runs, strict=True)
    )
    allowed = TOLERANCES.get(probe.before.dtype, COARSE) if tolerance is None else tolerance
    size = float(probe.before.abs().max())
    return EquivarianceReport(type(probe.network).__name__, allowed, errors, size=size)


def _as_module(module: nn.Module | Callable[[Tensor], Tensor]) -> nn.Module:
    """The module, or one by the name of a plain function that calls it."""
    if isinstance(module, nn.Module):
        return module
    if not callable(module):
        raise SpecError(f"module={module!r} must be a torch.nn.Module, or a function of x.")
    name = getattr(module, "__name__", type(module).__name__)
    made: nn.Module = type(name, (nn.Module,), {"forward": staticmethod(module)})()
    return made


def _chosen(elements: Sequence[AnyElement] | AnyElement | None) -> tuple[AnyElement, ...]:
    if elements is None:
        return ()
    given = elements if isinstance(elements, Iterable) else (elements,)
    chosen = tuple(given)
    for element in chosen:
        if not isinstance(element, AnyElement):
            raise GroupError(
                f"elements={elements!r}: {element!r} is no element of a group: write "
                "group.element(shift=(0, 1)), or group.elements[1] of a finite group."
            )
    return chosen


def _runner(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """x ↦ module(x) on plain tensors; escnn modules get and give GeometricTensors.

    x and the output are copies: the module may write on either of them, now or in its next run.
    """
    dress = field_type(module, "in_type")

    def run(x: Tensor) -> Tensor:
        own = x.clone()
        y = tensor_of(module(own if dress is None else dress(own)))
        if y is None or y.ndim < 2 or len(y) != len(x):
            raise ShapeError(
                f"module={type(module).__name__} must return one floating tensor with the batch of "
                f"{len(x)} first: wrap it in a module that picks that tensor."
            )
        return y.detach().clone()

    return run


def field_type(module: nn.Module, name: str) -> Any:
    """The escnn FieldType `in_type` or `out_type` of a module of escnn, or None."""
    if isinstance(getattr(module, "source", None), Field):
        return None  # relaxeq's layers take tensors too, and would load escnn to tell their type
    found = getattr(module, name, None)
    return found if hasattr(found, "gspace") and callable(found) else None


def _checked_output(run: Callable[[Tensor], Tensor], x: Tensor, field_out: Any) -> Tensor:
    first, second = run(x), run(x)
    if isinstance(field_out, Field | Vectors):
        field_out.check(first, "module(x)")
    if first.is_meta:
        raise SpecError(
            "module is on 'meta', where there are no values to compare: write "
            "module.to_empty(device='cpu') and draw its weights."
        )
    if not torch.isfinite(first).all():
        raise NumericsError(
            "module(x) holds NaN or infinity: check its weights, or give another x=."
        )
    if not torch.equal(first, second):
        raise SpecError(
            "module gives two answers for one x: chance in it (dropout, noise) hides its symmetry. "
            "Write module.eval() first."
        )
    return first


def _features(module: nn.Module, field_in: Any, x: Tensor | None) -> Tensor:
    if x is not None:
        if isinstance(field_in, Field | Vectors):
            field_in.check(x)
        if not (isinstance(x, Tensor) and x.ndim and len(x)):
            raise ShapeError(f"x={x!r} holds no data to test on: give one datum or more.")
        return x.detach()
    if not isinstance(field_in, Field | Vectors):
        raise SpecError(f"x is missing: field_in={field_in!r} does not say the size of the grid.")
    parameter = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    generator = torch.Generator().manual_seed(0)
    return field_in.random(4, generator, parameter.dtype).to(parameter.device)


def _group(field_in: Any, group: AnyGroup | None) -> AnyGroup:
    if group is not None:
        return group
    if isinstance(field_in, Field):
        return field_in.group
    if isinstance(field_in, Vectors):
        return field_in.rho.group
    raise SpecError("group is missing: write group=groups.planar('p4'), say.")
