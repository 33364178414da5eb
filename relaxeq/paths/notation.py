"""The notation of layers: names of paths, some with a subgroup, as in "F-FC+GCONV[p2]"."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, final, runtime_checkable

from relaxeq.errors import SpecError
from relaxeq.groups import FiniteGroup, Subgroup
from relaxeq.groups.abstract import Group
from relaxeq.paths.base import Path
from relaxeq.paths.subgroups import find_subgroup, subgroup_name


@runtime_checkable
class Framed(Protocol):
    """What a path of a layer is told: here, the group and the subgroup K that the path keeps."""

    @property
    def group(self) -> Group: ...
    @property
    def part(self) -> Subgroup | None: ...


Maker = Callable[[Any, str], Path]


@final
@dataclass(frozen=True, eq=False)
class Notation:
    """The paths that a kind of layer has, by their names.

    `symmetric` names the paths that exist for every subgroup K, `of_subgroup` chooses one of them,
    `free` is the path of K = {e}, and `example` is what error messages suggest.
    """

    paths: Mapping[str, Maker]
    symmetric: tuple[str, ...]
    of_subgroup: Callable[[Subgroup], str]
    free: str
    example: str

    def parse(self, spec: str) -> tuple[str, ...]:
        """The labels of a spec, in its order: "F-FC+CONV" ↦ ("F-FC", "CONV")."""
        if not isinstance(spec, str):
            raise SpecError(f"spec={spec!r} must be a string such as {self.example!r}.")
        labels = tuple(part.strip() for part in spec.split("+"))
        for label in labels:
            name, bracket = _split(label)
            if name not in self.paths or (bracket is not None and name not in self.symmetric):
                raise SpecError(
                    f"spec={spec!r}: {label!r} is not a path. Write one or more of "
                    f"{', '.join(self.paths)}, joined by '+', such as {self.example!r}; "
                    f"{' and '.join(self.symmetric)} may name a subgroup: {self.symmetric[0]}[C2]."
                )
        if len(set(labels)) < len(labels):
            raise SpecError(f"spec={spec!r} names a path twice: their sum would be one path.")
        return labels

    def build(self, frame: Framed, spec: str) -> dict[str, Path]:
        """The paths of a spec by their labels, each built in the frame."""
        built: dict[str, Path] = {}
        seen: dict[tuple[str, Subgroup | None], str] = {}
        for label in self.parse(spec):
            name, bracket = _split(label)
            lie = not isinstance(frame.group, FiniteGroup) and bracket == frame.group.name
            part = None if bracket is None or lie else find_subgroup(frame.group, bracket)
            if part is not None and part.order == 1:
                raise SpecError(f"spec={spec!r}: {label} is {self.free}: write {self.free}.")
            if part is not None and part.order == part.parent.order:
                part = None
            first = seen.setdefault((name, part), label)
            if first != label:
                raise SpecError(f"spec={spec!r}: {first} and {label} are the same path: keep one.")
            built[label] = self.paths[name](replace(frame, part=part), label)  # type: ignore[type-var]
        return built

    def of_groups(self, group: Group, parts: Iterable[object]) -> str:
        """The spec with a path for each subgroup K (Eq. 11), and `free` for {e}."""
        if isinstance(parts, str) or not isinstance(parts, Iterable):
            raise SpecError(f"groups={parts!r} must be a list of subgroups, such as [{group}, e].")
        labels = [self._label(group, part) for part in parts]
        if not labels:
            raise SpecError("groups=[] is empty: name one subgroup or more, or leave it out.")
        return "+".join(labels)

    def _label(self, group: Group, part: object) -> str:
        if isinstance(part, FiniteGroup | Subgroup) and part.order == 1:
            return self.free
        if not isinstance(group, FiniteGroup) and part == group:
            return self.symmetric[0]
        found = find_subgroup(group, part)
        if found.order == 1:
            return self.free
        return f"{self.of_subgroup(found)}[{subgroup_name(found)}]"


def _split(label: str) -> tuple[str, str | None]:
    """The name and the subgroup of a label: "GCONV[p2]" ↦ ("GCONV", "p2")."""
    name, bracket, inner = label.partition("[")
    if bracket and not inner.endswith("]"):
        return label, None
    return name, inner[:-1] if bracket else None
