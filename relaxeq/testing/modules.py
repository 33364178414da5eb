"""Modules: which part of a network breaks equivariance, each part tested by itself."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, final

from torch import Tensor, nn

from relaxeq.fields import Field
from relaxeq.groups import PlanarElement, PlanarGroup
from relaxeq.layers.path_sum import PathSum
from relaxeq.paths import Path, Vectors
from relaxeq.testing.actions import (
    Action,
    AnyElement,
    Invariant,
    OnGrid,
    OnVectors,
    OwnFrames,
    Typed,
    action_of,
)
from relaxeq.testing.advice import advice_on
from relaxeq.testing.comparison import moved, relative_error, scale_between, turns
from relaxeq.testing.report import ElementError, ModuleErrors, Unseen
from relaxeq.testing.tracing import Call, as_met, copied, tensor_of, traced

# Wrong guesses of how features transform err by about 1, right ones by no more than a small fault.
FITS = 0.05
FORMS = "(batch, channels) or (batch, channels, rows, columns)"


@final
@dataclass(frozen=True)
class Slot:
    """One tensor that enters or leaves a module, and the actions that it may carry."""

    value: Any
    tensor: Tensor
    actions: tuple[Action, ...]


@final
@dataclass(frozen=True, eq=False)
class Probe:
    """A network, how it is run, its output f(x), and the elements that it is tested on.

    known: the actions on x and on the output.
    """

    network: nn.Module
    run: Callable[[Tensor], Tensor]
    x: Tensor
    before: Tensor
    elements: tuple[AnyElement, ...]
    known: tuple[Action, Action]

    @property
    def moves(self) -> Iterable[tuple[AnyElement, int]]:
        """Every element in every turn, so that each datum is moved by each element once."""
        return itertools.product(self.elements, turns(self.x))

    def errors(self, found: Iterable[float]) -> tuple[ElementError, ...]:
        """The worst error of each element, of those found in the order of `moves`."""
        ordered = iter(found)
        return tuple(
            ElementError(element, max(itertools.islice(ordered, len(turns(self.x)))))
            for element in self.elements
        )


def module_errors(probe: Probe) -> tuple[tuple[ModuleErrors, ...], tuple[Unseen, ...]]:
    """Each submodule by itself on the features that reach it, in the order of first calls.

    How hidden features transform is read off their declaration (relaxeq layers, escnn types), else
    off their behaviour while the whole network is moved: like a scalar, a regular field, or sheets
    in frames of their own. Modules whose tensors fit no such form, and those that do not take and
    return grids or vectors with the batch first, are returned apart, each with the reason.
    """
    before = traced(probe.network, lambda: probe.run(probe.x))
    after = [_moved_calls(probe, turn) for turn in range(len(probe.elements))]
    found: dict[str, ModuleErrors] = {}
    unseen: dict[str, Unseen] = {}
    for index, call in enumerate(before):
        others = [calls[index] if len(calls) == len(before) else None for calls in after]
        entry = _judged(probe, call, others)
        if isinstance(entry, ModuleErrors):
            found[call.name] = _worse(found.get(call.name), entry)
        else:
            unseen[call.name] = Unseen(call.name, type(call.module).__name__, entry)
    return tuple(found.values()), tuple(u for name, u in unseen.items() if name not in found)


def _moved_calls(probe: Probe, turn: int) -> list[Call]:
    x = moved(probe.known[0], probe.elements[turn], probe.x, turn)
    return traced(probe.network, lambda: probe.run(x))


def _judged(probe: Probe, call: Call, others: Sequence[Call | None]) -> ModuleErrors | str:
    """The module's errors, or the reason why it could not be tested by itself."""
    places = [i for i, value in enumerate(call.arguments) if _followed(value, probe.x)]
    if not places:
        return f"which takes {_shapes(call.arguments)}, not {FORMS}"
    if not _followed(call.output, probe.x):
        return f"which gives {_shapes((call.output,))}, not {FORMS}"
    slots = [
        _slot(probe, call.arguments[i], "source", call, [_argument(o, i) for o in others])
        for i in places
    ]
    leaving = _slot(
        probe, call.output, "target", call, [None if o is None else o.output for o in others]
    )
    if not all(slot.actions for slot in (*slots, leaving)):
        shapes = _shapes((*call.arguments, call.output))
        return f"for whose features {shapes} no action of {probe.elements[0].group} is known"
    return _best(probe, call, places, slots, leaving)


def _best(
    probe: Probe, call: Call, places: list[int], slots: list[Slot], leaving: Slot
) -> ModuleErrors:
    """The module's errors under the way of transforming that suits it best."""
    scale = scale_between(slots[0].tensor, leaving.tensor)
    best: ModuleErrors | None = None
    for actions in itertools.product(*(slot.actions for slot in slots)):
        outputs = [_alone(call, places, slots, actions, a, turn) for a, turn in probe.moves]
        for last in leaving.actions:
            errors = probe.errors(
                relative_error(last, a, scale, _grid(y), leaving.tensor, turn)
                for (a, turn), y in zip(probe.moves, outputs, strict=True)
            )
            carries = f"{', '.join(map(str, actions))} → {last}"
            kind = type(call.module).__name__
            entry = ModuleErrors(call.name, kind, carries, errors, advice_on(call.module))
            if best is None or entry.worst.error < best.worst.error:
                best = entry
    assert best is not None
    return best


def _alone(
    call: Call,
    places: list[int],
    slots: list[Slot],
    actions: tuple[Action, ...],
    element: AnyElement,
    turn: int,
) -> Tensor:
    """The module's output, its inputs moved by one element."""
    arguments = list(map(copied, call.arguments))
    for i, slot, action in zip(places, slots, actions, strict=True):
        tensor = moved(action, element, slot.tensor, turn).view_as(_tensor(slot.value))
        arguments[i] = as_met(tensor, slot.value)
    keywords = {key: copied(value) for key, value in call.keywords.items()}
    return _tensor(call.module(*arguments, **keywords))


def _slot(probe: Probe, value: Any, side: str, call: Call, others: list[Any]) -> Slot:
    tensor = _grid(_tensor(value))
    declared = _declared(value, _field(probe, call, side))
    actions = declared or _guesses(tensor, probe)
    if len(actions) > 1 and all(_followed(other, probe.x) for other in others):
        after = [_grid(_tensor(other)) for other in others]
        actions = tuple(a for a in actions if _fits(probe, a, tensor, after)) or actions
    return Slot(value, tensor, actions)


def _fits(probe: Probe, action: Action, before: Tensor, after: list[Tensor]) -> bool:
    """Whether features moved by this action while the whole network was moved."""
    scale = scale_between(probe.x, before)
    return all(
        relative_error(action, element, scale, found, before, turn) < FITS
        for turn, (element, found) in enumerate(zip(probe.elements, after, strict=True))
    )


def _declared(value: Any, field: Any) -> tuple[Action, ...]:
    if not isinstance(value, Tensor):
        return (Typed(value.type),)
    if isinstance(field, Field | Vectors) and value.shape[1] == field.shape[0]:
        return (action_of(field),)
    return ()


def _field(probe: Probe, call: Call, side: str) -> Any:
    """The `source` or `target` of a layer, which its paths share."""
    name = call.name
    while isinstance(probe.network.get_submodule(name), Path | PathSum):
        name = name.rpartition(".")[0]
    return getattr(probe.network.get_submodule(name), side, None)


def _guesses(tensor: Tensor, probe: Probe) -> tuple[Action, ...]:
    """All the ways in which features of this shape may transform, the simplest first."""
    if not isinstance(probe.elements[0], PlanarElement):
        known = dict.fromkeys(a for a in probe.known if isinstance(a, OnVectors))
        if not known and tensor.shape[2:] != (1, 1):
            return ()  # under a user's own action these may move in any way
        return (Invariant(), *(a for a in known if tensor.shape[1] % a.rho.dim == 0))
    size = (tensor.shape[2], tensor.shape[3])
    own = probe.elements[0].group
    if not own.exact_on(size):
        return ()
    found: list[Action] = [OnGrid(own, "trivial")]
    for group in dict.fromkeys(_groups(probe)):
        order = group.point_group.order
        if order > 1 and tensor.shape[1] % order == 0 and group.exact_on(size):
            found += [OnGrid(group, "regular"), OwnFrames(group)]
    return tuple(found)


def _groups(probe: Probe) -> list[PlanarGroup]:
    known = [action.group for action in probe.known if isinstance(action, OnGrid | OwnFrames)]
    return known + [a.group for a in probe.elements if isinstance(a, PlanarElement)]


def _followed(value: Any, x: Tensor) -> bool:
    tensor = tensor_of(value)
    return tensor is not None and tensor.ndim in (2, 4) and len(tensor) == len(x)


def _argument(call: Call | None, place: int) -> Any:
    return None if call is None else call.arguments[place]


def _tensor(value: Any) -> Tensor:
    tensor = tensor_of(value)
    assert tensor is not None
    return tensor.detach()


def _shapes(values: Iterable[Any]) -> str:
    shapes = [str(tuple(value.shape)) for value in map(tensor_of, values) if value is not None]
    return " and ".join(shapes) or "no floating tensor"


def _grid(tensor: Tensor) -> Tensor:
    """Vectors as grids of one pixel."""
    return tensor[:, :, None, None] if tensor.ndim == 2 else tensor


def _worse(old: ModuleErrors | None, new: ModuleErrors) -> ModuleErrors:
    return new if old is None or new.worst.error > old.worst.error else old
