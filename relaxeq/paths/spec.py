"""Specs: layers in the paper's notation, "F-FC+CONV+GCONV"."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from relaxeq.errors import SpecError
from relaxeq.groups import PointGroup, Subgroup
from relaxeq.paths.base import Path
from relaxeq.paths.factored import FactoredFC
from relaxeq.paths.fc import FC
from relaxeq.paths.frame import Frame
from relaxeq.paths.gconv import GroupConv
from relaxeq.paths.separable import depthwise_separable_conv, separable_conv
from relaxeq.paths.subgroups import find_subgroup, subgroup_name


def _conv(frame: Frame, label: str) -> Path:
    part = frame.point_group.subgroup([])
    return GroupConv(frame.source, frame.fine, frame.kernel_size, part, label)


def _group_conv(frame: Frame, label: str) -> Path:
    if frame.point_group.order == 1:
        raise SpecError(
            f"{label} needs a point group, and these fields have {frame.source.group}: write CONV, "
            "or fields of groups.semidirect(groups.Z2(), groups.p4())."
        )
    place = (frame.source, frame.fine, frame.kernel_size, frame.subgroup(), label)
    if frame.filters == "separable":
        return separable_conv(*place)
    if frame.filters == "depthwise-separable":
        return depthwise_separable_conv(*place)
    return GroupConv(*place, pointwise=frame.filters == "pointwise")


PATHS: dict[str, Callable[[Frame, str], Path]] = {
    "FC": lambda frame, label: FC(frame.source, frame.target, label),
    "F-FC": lambda frame, label: FactoredFC(frame.source, frame.target, label),
    "CONV": _conv,
    "GCONV": _group_conv,
}


# The paths that exist for every subgroup K of the fields' group: GCONV[p2].
OF_SUBGROUPS = ("GCONV",)


def parse_spec(spec: str) -> tuple[str, ...]:
    """The labels of a spec, in its order: "F-FC+GCONV[p2]+CONV" ↦ ("F-FC", "GCONV[p2]", "CONV")."""
    if not isinstance(spec, str):
        raise SpecError(f"spec={spec!r} must be a string such as 'F-FC+CONV'.")
    labels = tuple(part.strip() for part in spec.split("+"))
    for label in labels:
        name, bracket = _split(label)
        if name not in PATHS or (bracket is not None and name not in OF_SUBGROUPS):
            raise SpecError(
                f"spec={spec!r}: {label!r} is not a path. Write one or more of "
                f"{', '.join(PATHS)}, joined by '+', such as 'F-FC+CONV'; "
                f"{' and '.join(OF_SUBGROUPS)} may name a subgroup, as in GCONV[p2]."
            )
    if len(set(labels)) < len(labels):
        raise SpecError(f"spec={spec!r} names a path twice: their sum would be one path.")
    return labels


def build_paths(frame: Frame, spec: str) -> dict[str, Path]:
    """The paths of a spec by their labels, each built in the frame."""
    built: dict[str, Path] = {}
    seen: dict[tuple[str, Subgroup], str] = {}
    for label in parse_spec(spec):
        name, bracket = _split(label)
        part = None if bracket is None else find_subgroup(frame.point_group, bracket)
        if part is not None and part.order == 1:
            raise SpecError(f"spec={spec!r}: {label} is the plain convolution: write CONV.")
        own = replace(frame, part=part)
        first = seen.setdefault((name, own.subgroup()), label)
        if first != label:
            raise SpecError(f"spec={spec!r}: {first} and {label} are the same path: keep one.")
        built[label] = PATHS[name](own, label)
    return built


def spec_of_groups(point_group: PointGroup, parts: Iterable[object]) -> str:
    """The spec with a path for each subgroup K (Eq. 11): [p4, p2, e] ↦ "GCONV[p4]+GCONV[p2]+CONV"."""
    found = [find_subgroup(point_group, part) for part in parts]
    if not found:
        raise SpecError("groups=[] is empty: name one subgroup or more, or leave it out.")
    return "+".join("CONV" if k.order == 1 else f"GCONV[{subgroup_name(k)}]" for k in found)


def _split(label: str) -> tuple[str, str | None]:
    """ "GCONV[p2]" as ("GCONV", "p2"); "CONV" as ("CONV", None)."""  # noqa: D210
    name, bracket, inner = label.partition("[")
    if bracket and not inner.endswith("]"):
        return label, None
    return name, inner[:-1] if bracket else None
