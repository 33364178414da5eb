"""check_group and check_representation: right ones pass, each broken law is found and named."""

import re

import numpy as np
import pytest

from relaxeq import groups
from relaxeq.groups import (
    FiniteGroup,
    PlanarElement,
    PlanarGroup,
    PointGroup,
    Representation,
    Subgroup,
    TableGroup,
)
from relaxeq.groups import bridge as escnn_bridge
from relaxeq.groups.lie import LieElement
from relaxeq.testing import CheckError, check_group, check_representation

FINITE = {
    "S4": lambda: groups.symmetric(4),
    "D5": lambda: groups.dihedral(5),
    "C2 × S3": lambda: groups.direct_product(groups.cyclic(2), groups.symmetric(3)),
    "O": groups.octahedral,
    "V4": lambda: groups.from_permutations([(1, 0, 3, 2), (2, 3, 0, 1)]),
    "e": groups.trivial,
}


@pytest.mark.parametrize("name", FINITE)
def test_finite_groups_pass_with_their_subgroups_and_representations(name: str) -> None:
    group = FINITE[name]()
    check_group(group)
    for part in group.subgroups(conjugacy=True):
        check_group(part)
        check_representation(groups.quotient(group, part))
    check_representation(group.regular + 2 * group.trivial)
    for rho in group.irreps:
        check_representation(rho @ rho)


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (5, 5), (2, 6)])
@pytest.mark.parametrize("name", ["Z2", "p2", "p4", "pm", "pmm", "p4m", "C3", "C8", "D6"])
def test_planar_groups_pass(name: str, size: tuple[int, int]) -> None:
    check_group(groups.planar(name), size)


def test_planar_groups_of_subgroups_pass() -> None:
    """Nothing reads their names, which list elements."""
    for part in groups.p4m().subgroups():
        check_group(groups.semidirect(groups.Z2(), part.group))  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [groups.SO2, groups.O2, groups.SO3, groups.O3])
def test_lie_groups_pass(make: "type[groups.MatrixLieGroup]") -> None:
    group = make()
    check_group(group)
    check_representation(group.natural @ group.natural + group.trivial)


def test_escnns_irreps_of_lie_groups_pass() -> None:
    escnn_bridge.load()
    for label in ((0,), (1,), (2,)):
        check_representation(groups.SO3().irrep(*label))


LOOP = [[0, 1, 2, 3, 4], [1, 0, 3, 4, 2], [2, 4, 0, 1, 3], [3, 2, 4, 0, 1], [4, 3, 1, 2, 0]]
NO_INVERSE = [[0, 1, 2], [1, 0, 0], [2, 0, 1]]


def turned_wrong() -> FiniteGroup:
    """The table of p4 with the matrices of pmm."""
    return PointGroup(groups.p4().mul, groups.pmm().matrices, "wrong")


def not_generated() -> FiniteGroup:
    group = groups.cyclic(4)
    group.generators = (group.elements[2],)  # type: ignore[misc]
    return group


def equal_elements() -> FiniteGroup:
    group = groups.cyclic(3)
    group.elements = (group.elements[0], group.elements[1], group.elements[1])  # type: ignore[misc]
    return group


class Forgetful(TableGroup):
    """Comes back from its pickle as another group."""

    def __reduce__(self) -> tuple[object, ...]:
        return (groups.cyclic, (2,))


BROKEN = {
    "associativity": (
        lambda: TableGroup(np.array(LOOP), "L", None),
        r"L: \(g1 g1\) g2 is g2 and g1 \(g1 g2\) is g4",
    ),
    "inverse": (lambda: TableGroup(np.array(NO_INVERSE), "N", None), "N: .*is|N: .*is g"),
    "matrices": (turned_wrong, r"wrong: R\(g1\) R\(g1\) differs from R\(g2\) by 2.00e\+00"),
    "generators": (not_generated, r"C4: r is no product of the generators \(r2,\)"),
    "elements": (equal_elements, "C3: 3 elements, of which 2 differ"),
    "pickle": (
        lambda: Forgetful(groups.cyclic(3).mul, "F", None),
        "F: a pickled copy is not equal",
    ),
    "subgroup": (lambda: Subgroup(groups.cyclic(4), (0, 1)), r"it holds .* and .* but not"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_group_is_found(name: str) -> None:
    make, message = BROKEN[name]
    with pytest.raises(CheckError, match=message):
        check_group(make())


def test_a_direct_product_in_place_of_the_semidirect_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def direct(a: PlanarElement, b: PlanarElement) -> PlanarElement:
        shift = (a.shift[0] + b.shift[0], a.shift[1] + b.shift[1])
        return a.group.element(shift, a.point @ b.point)

    monkeypatch.setattr(PlanarElement, "__matmul__", direct)
    with pytest.raises(CheckError, match=r"Z2 ⋊ p4 on 4×4: with a = .*, b = .*, a·\(b·x\) is not"):
        check_group(groups.planar("p4"))
    with pytest.raises(CheckError, match=r"with a = .*, b = .*, a\(b q\) is not \(a @ b\) q"):
        check_group(groups.planar("C8"))
    check_group(groups.Z2())  # where there is nothing to turn, the two are one


def test_pixels_that_move_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    right = PlanarElement.pixel_permutation
    monkeypatch.setattr(PlanarElement, "pixel_permutation", lambda self, size: right(~self, size))
    with pytest.raises(CheckError, match=r"x\[permutation of a @ b\] is not \(a @ b\)·x"):
        check_group(groups.planar("p4"))


def test_inverses_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlanarElement, "__invert__", lambda self: self)
    with pytest.raises(CheckError, match=r"times its inverse .* is \(shift=\(0, 2\)|times its inv"):
        check_group(groups.planar("p4"))
    monkeypatch.setattr(LieElement, "__invert__", lambda self: self)
    with pytest.raises(CheckError, match="SO3: .* times its inverse"):
        check_group(groups.SO3())


def test_a_text_that_reads_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlanarGroup, "__str__", lambda self: "Z2 ⋊ p2")
    with pytest.raises(CheckError, match="its text reads back as"):
        check_group(groups.planar("p4"))


def plain(group: FiniteGroup, images: object, text: str) -> Representation:
    """A representation that nobody checked."""
    listed = np.array(images, dtype=float)
    return Representation(group, listed, np.zeros((0, *listed.shape[1:])), text)


def test_a_homomorphism_that_is_none() -> None:
    third = groups.cyclic(3).natural.images
    rho = plain(groups.cyclic(4), third, "natural")
    with pytest.raises(CheckError, match=re.escape("its text, read back, is not equal")):
        check_representation(rho)
    rho = plain(groups.cyclic(4), third, f"representation({third.tolist()!r})")
    with pytest.raises(Exception, match=r"rho\(r\d?\) rho\(r\) is not"):
        check_representation(rho)  # its text alone is refused


def test_images_that_do_not_multiply(monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = groups.symmetric(3)
    rho = s3.regular
    swapped = {1: 2, 2: 1}
    right = Representation.__call__

    def wrong(self: Representation, g: object) -> "np.ndarray[object, np.dtype[np.float64]]":
        index = s3.index(g)  # type: ignore[arg-type]
        return right(self, swapped.get(index, index))

    monkeypatch.setattr(Representation, "__call__", wrong)
    with pytest.raises(
        CheckError, match=r"ρ\(.*\) ρ\(.*\) against ρ\(.*\): they differ by 1.00e\+00"
    ):
        check_representation(rho)


def test_single_precision_images(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Representation.__call__
    monkeypatch.setattr(
        Representation, "__call__", lambda self, g: right(self, g).astype(np.float32)
    )
    with pytest.raises(CheckError, match=r"is float32 of shape \(4, 4\), not float64"):
        check_representation(groups.cyclic(4).regular)


def test_derivatives_that_are_none_of_a_representation() -> None:
    so3 = groups.SO3()
    slopes = so3.natural.derivatives.copy()
    slopes[0] *= 2
    rho = Representation(so3, so3.natural.images, slopes, "natural")
    with pytest.raises(CheckError, match="its text, read back, is not equal"):
        check_representation(rho)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("relaxeq.testing.representation_checks.parse", lambda group, text: rho)
        with pytest.raises(
            CheckError, match=r"ρ\(g exp\(A_\d\) g⁻¹\) against ρ\(exp\(g A_\d g⁻¹\)\)"
        ):
            check_representation(rho)
