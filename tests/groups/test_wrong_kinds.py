"""What is given in place of a group, a representation, an element or a number is named."""

import numpy as np
import pytest

from relaxeq import groups
from relaxeq.errors import GroupError
from relaxeq.testing import check_group, check_representation

S3, C3, D4 = groups.symmetric(3), groups.cyclic(3), groups.dihedral(4)
SO2, SO3 = groups.SO2(), groups.SO3()
P4 = groups.planar("p4")

WRONG = {
    "basis in": (lambda: groups.equivariant_basis(S3, S3), "rho_in: S3 is no Representation"),
    "basis out": (lambda: groups.equivariant_basis(S3.regular, S3), "rho_out: S3 is no Repr"),
    "restricted": (lambda: groups.restricted(S3, C3), "rho: S3 is no Representation. Write"),
    "character": (lambda: groups.character(S3), "rho: S3 is no Representation"),
    "induced": (lambda: groups.induced(C3.regular, C3), r"part: C3 is no Subgroup. .*subgroup\("),
    "induced rho": (lambda: groups.induced(C3, S3.subgroup([3])), "sigma: C3 is no Representation"),
    "images": (lambda: groups.representation("C4", [[[1]]]), "group: 'C4' is no Group. Write"),
    "permutation": (lambda: groups.permutation("C2", [[1, 0]]), "group: 'C2' is no Group"),
    "quotient": (lambda: groups.quotient("C4", C3), "group: 'C4' is no FiniteGroup"),
    "basis text": (
        lambda: groups.change_of_basis(S3.trivial, "x"),
        "basis: 'x' is no invertible 1×1",
    ),
    "basis list": (lambda: groups.change_of_basis(S3.natural, [[1, 2], [3]]), "no invertible 3×3"),
    "basis of": (lambda: groups.change_of_basis(S3, [[1]]), "rho: S3 is no Representation"),
    "factors": (lambda: groups.direct_product(2, 3), "factors: 2 is no FiniteGroup"),
    "one factor": (lambda: groups.direct_product(2), "factors: 2 is no FiniteGroup"),
    "parent": (lambda: groups.subgroup("D4", [1]), "group: 'D4' is no FiniteGroup"),
    "element": (lambda: D4.subgroup(D4.elements[2]), r"generators: r2 is no list .*\(\[r2\]\)"),
    "index": (lambda: D4.subgroup(2), r"generators: 2 is no list of elements.*subgroup\(\[2\]\)"),
    "irrep text": (lambda: S3.irrep("1"), r"i: S3 has no irrep\('1'\). It has 3"),
    "irrep float": (lambda: S3.irrep(1.5), r"i: S3 has no irrep\(1.5\)"),
    "Lie irrep": (lambda: SO3.irrep("a"), r"irrep: \('a',\) are no whole numbers. Write irrep\(1"),
    "Lie label": (lambda: SO3.irrep([1]), r"irrep: \(\[1\],\) are no whole numbers"),
    "angle text": (lambda: SO3.exp("a"), "coefficients: 'a' are no finite numbers. Write one"),
    "angle nan": (lambda: SO2.exp([np.nan]), r"coefficients: \[nan\] are no finite numbers"),
    "plane": (lambda: groups.PlanarGroup(groups.cyclic(4)), "point group: C4 is no PointGroup"),
    "semidirect": (lambda: groups.semidirect(groups.Z2(), C3), "point group: C3 is no PointGroup"),
    "shift text": (lambda: P4.element(shift="12"), "shift: '12' is not a pair of numbers"),
    "shift list": (lambda: P4.element(shift=(1, [2])), "is not a pair of numbers"),
    "shift nan": (lambda: groups.planar("C8").element(shift=(np.nan, 0)), "not a pair of numbers"),
    "check": (lambda: check_group(5), "group: 5 is no group. Give a FiniteGroup, "),
    "check rho": (lambda: check_representation(S3), "rho: S3 is no Representation"),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", WRONG)
def test_wrong_kinds_are_named(name):
    call, message = WRONG[name]
    with pytest.raises(GroupError, match=message):
        call()


@pytest.mark.usefixtures("unchecked")
def test_integers_of_numpy_are_integers():
    two = np.int64(2)
    assert groups.cyclic(two) == groups.cyclic(2)
    assert S3.irrep(two) is S3.irrep(2)
    assert SO3.irrep(np.int32(1)) is SO3.irrep(1)
    assert str(two * S3.trivial) == "2*trivial"
    assert D4.subgroup(np.array([2])).embedding == (0, 2)
    assert P4.element(shift=(two, -two), point=two) == P4.element(shift=(2, -2), point=2)
    assert groups.from_permutations(np.array([[1, 2, 0]])) == C3
    assert S3.is_subgroup("C2") is False


def test_elements_of_different_groups_are_unequal():
    assert SO2.identity != SO3.identity
    assert (SO2.identity == SO2.exp([2 * np.pi])) is True
