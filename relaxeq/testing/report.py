"""Reports: what equivariance_error found, per element and per module."""

import math
from dataclasses import dataclass
from typing import final

from relaxeq.testing.actions import AnyElement

NOTHING = ", but f(x) = 0 for all data, as under any group: give other x=, or draw its weights"


@final
@dataclass(frozen=True)
class ElementError:
    """The relative error max |f(a·x) − a·f(x)| / max |f(x)| under one element a."""

    element: AnyElement
    error: float

    def __str__(self) -> str:
        return f"{self.error:.2e} at {self.element}"


@final
@dataclass(frozen=True)
class ModuleErrors:
    """A submodule by itself: moved inputs in, compared with its moved output.

    name: its path in the network; kind: its class; carries: how its input and output were taken to
    transform; advice: what to write instead, where that can be told from its kind.
    """

    name: str
    kind: str
    carries: str
    errors: tuple[ElementError, ...]
    advice: str = ""

    @property
    def worst(self) -> ElementError:
        """The element with the largest error."""
        return max(self.errors, key=lambda found: found.error)


@final
@dataclass(frozen=True)
class Unseen:
    """A submodule that could not be tested by itself, and why: a clause such as "it gives no …"."""

    name: str
    kind: str
    why: str


@final
@dataclass(frozen=True)
class EquivarianceReport:
    """What `equivariance_error` found. `float(report)` is the worst relative error.

    errors: one per element. modules: every submodule whose tensors could be followed, in the order
    of their calls; left empty by `equivariance_error` where the whole is within `tolerance`.
    fault: the first module at fault, None within tolerance, "" for the module itself outside its
    children. size: max |f(x)|; where that is 0, any group passes. unseen: the submodules that could
    not be followed.
    """

    kind: str
    tolerance: float
    errors: tuple[ElementError, ...]
    modules: tuple[ModuleErrors, ...] = ()
    fault: str | None = None
    size: float = math.nan
    unseen: tuple[Unseen, ...] = ()

    @property
    def worst(self) -> ElementError:
        """The element with the largest error."""
        return max(self.errors, key=lambda found: found.error)

    @property
    def equivariant(self) -> bool:
        """Whether every error is within tolerance."""
        return self.worst.error <= self.tolerance

    @property
    def culprit(self) -> ModuleErrors | None:
        """The entry of the module at fault, if it is a submodule."""
        return next((entry for entry in self.modules if entry.name == self.fault), None)

    def __float__(self) -> float:
        return self.worst.error

    def __str__(self) -> str:
        lines = [f"{self.kind}: worst relative error {self.worst} (tolerance {self.tolerance:.0e})"]
        for entry in self.modules:
            mark = "at fault" if entry.name == self.fault else ""
            lines.append(f"  {entry.name} ({entry.kind}): {entry.worst} {mark}".rstrip())
        if self.fault is not None or self.size == 0:
            lines.append(self.verdict)
        return "\n".join(lines)

    @property
    def verdict(self) -> str:
        """One sentence that names the module at fault and says what to write instead."""
        if self.fault is None:
            nothing = f"{NOTHING}." if self.size == 0 else "."
            return f"{self.kind} is equivariant within {self.tolerance:.0e}{nothing}"
        culprit = self.culprit
        if culprit is None:
            return f"The fault is in {self.kind} itself, {self._elsewhere}."
        error = "not finite" if math.isinf(culprit.worst.error) else f"error {culprit.worst}"
        advice = f" {culprit.advice}" if culprit.advice else ""
        return f"First module at fault: {culprit.name!r} ({culprit.kind}, {error}).{advice}"

    @property
    def _elsewhere(self) -> str:
        """What is known of the children of a module that is itself at fault."""
        if self.unseen:
            first, count = self.unseen[0], len(self.unseen)
            return (
                f"or in a child that could not be looked into ({count} of "
                f"{count + len(self.modules)}): {first.name!r} ({first.kind}), {first.why}"
            )
        return "outside its children" if self.modules else "which has no children to look into"


def first_fault(modules: tuple[ModuleErrors, ...], tolerance: float) -> str:
    """Descend from the whole into the first child that fails, and on, until none inside fails.

    A module that passes shields its children: what they break, it mends.
    """
    fault = ""
    while True:
        inside = [entry for entry in modules if _is_inside(entry.name, fault)]
        nearest = [e for e in inside if not any(_is_inside(e.name, other.name) for other in inside)]
        failing = next((e for e in nearest if e.worst.error > tolerance), None)
        if failing is None:
            return fault
        fault = failing.name


def _is_inside(name: str, outer: str) -> bool:
    return name != outer and (outer == "" or name.startswith(f"{outer}."))
