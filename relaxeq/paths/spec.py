"""Specs: layers in the paper's notation, "F-FC+CONV+GCONV"."""

from collections.abc import Callable, Iterable

from relaxeq.errors import SpecError
from relaxeq.groups import PointGroup
from relaxeq.paths.base import Path
from relaxeq.paths.factored import FactoredFC
from relaxeq.paths.fc import FC
from relaxeq.paths.frame import Frame
from relaxeq.paths.gconv import GroupConv
from relaxeq.paths.notation import Notation
from relaxeq.paths.separable import depthwise_separable_conv, separable_conv
from relaxeq.paths.sparse.conv import SparseConv
from relaxeq.paths.sparse.fc import SparseFC
from relaxeq.paths.sparse.position import PositionConv
from relaxeq.paths.stages.lattice import keeps_the_lattice
from relaxeq.paths.steer import SteerConv


def _conv(frame: Frame, label: str) -> Path:
    part = frame.group.subgroup([])
    return GroupConv(frame.source, frame.fine, frame.kernel_size, part, label)


def _check_point_group(frame: Frame, label: str) -> None:
    if frame.group.order == 1:
        raise SpecError(
            f"{label} needs a point group, and these fields have {frame.source.group}: write CONV, "
            "or fields of groups.semidirect(groups.Z2(), groups.p4())."
        )


def _group_conv(frame: Frame, label: str) -> Path:
    _check_point_group(frame, label)
    place = (frame.source, frame.fine, frame.kernel_size, frame.subgroup(), label)
    if frame.filters == "separable":
        return separable_conv(*place)
    if frame.filters == "depthwise-separable":
        return depthwise_separable_conv(*place)
    return GroupConv(*place, pointwise=frame.filters == "pointwise")


def _sparse_conv(frame: Frame, label: str) -> Path:
    place = (frame.source, frame.fine, frame.kernel_size, frame.group.subgroup([]), label)
    return SparseConv(*place, options=frame.sparse)


def _sparse_group_conv(frame: Frame, label: str) -> Path:
    _check_point_group(frame, label)
    if frame.filters not in ("full", "pointwise"):
        raise SpecError(
            f"filters={frame.filters!r} has no {label}: its filters are 'full' or 'pointwise'. "
            "Write GCONV for the others."
        )
    place = (frame.source, frame.fine, frame.kernel_size, frame.subgroup(), label)
    return SparseConv(*place, pointwise=frame.filters == "pointwise", options=frame.sparse)


def _position_conv(frame: Frame, label: str) -> Path:
    return PositionConv(frame.source, frame.fine, frame.kernel_size, label, frame.sparse)


def _steer(frame: Frame, label: str) -> Path:
    _check_point_group(frame, label)
    return SteerConv(frame.source, frame.fine, frame.kernel_size, frame.subgroup(), label)


PATHS: dict[str, Callable[[Frame, str], Path]] = {
    "FC": lambda frame, label: FC(frame.source, frame.target, label),
    "F-FC": lambda frame, label: FactoredFC(frame.source, frame.target, label),
    "S-FC": lambda frame, label: SparseFC(frame.source, frame.target, label, frame.sparse),
    "CONV": _conv,
    "S-CONV": _sparse_conv,
    "NS-CONV": _position_conv,
    "GCONV": _group_conv,
    "S-GCONV": _sparse_group_conv,
    "STEER": _steer,
}


GRID = Notation(
    PATHS,
    symmetric=("GCONV", "S-GCONV", "STEER"),
    of_subgroup=lambda part: "GCONV" if keeps_the_lattice(part) else "STEER",
    free="CONV",
    example="F-FC+CONV",
)


def parse_spec(spec: str) -> tuple[str, ...]:
    """The labels of a spec, in its order: "F-FC+GCONV[p2]+CONV" ↦ ("F-FC", "GCONV[p2]", "CONV")."""
    return GRID.parse(spec)


def build_paths(frame: Frame, spec: str) -> dict[str, Path]:
    """The paths of a spec by their labels, each built in the frame."""
    return GRID.build(frame, spec)


def spec_of_groups(group: PointGroup, parts: Iterable[object]) -> str:
    """The spec with a path per subgroup K (Eq. 11): [p4, p2, e] ↦ "GCONV[p4]+GCONV[p2]+CONV".

    A K that does not map the grid to itself gets STEER, as in "STEER[C8]+GCONV[p4]".
    """
    return GRID.of_groups(group, parts)
