"""Specs: layers in the paper's notation, "F-FC+CONV+GCONV"."""

from collections.abc import Callable

from relaxeq.errors import SpecError
from relaxeq.groups import trivial
from relaxeq.paths.base import Path
from relaxeq.paths.factored import FactoredFC
from relaxeq.paths.fc import FC
from relaxeq.paths.frame import Frame
from relaxeq.paths.gconv import GroupConv
from relaxeq.paths.separable import depthwise_separable_conv, separable_conv


def _conv(frame: Frame, label: str) -> Path:
    part = frame.subgroup(trivial())
    return GroupConv(frame.source, frame.fine, frame.kernel_size, part, label)


def _group_conv(frame: Frame, label: str) -> Path:
    if frame.source.group.point_group.order == 1:
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


def parse_spec(spec: str) -> tuple[str, ...]:
    """The path names of a spec, in its order: "F-FC+CONV" ↦ ("F-FC", "CONV")."""
    if not isinstance(spec, str):
        raise SpecError(f"spec={spec!r} must be a string such as 'F-FC+CONV'.")
    names = tuple(part.strip() for part in spec.split("+"))
    for name in names:
        if name not in PATHS:
            raise SpecError(
                f"spec={spec!r}: {name!r} is not a path. Write one or more of "
                f"{', '.join(PATHS)}, joined by '+', such as 'F-FC+CONV'."
            )
    if len(set(names)) < len(names):
        raise SpecError(f"spec={spec!r} names a path twice: their sum would be one path.")
    return names
