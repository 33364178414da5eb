"""Point groups: their matrices multiply as their tables say, in escnn's order of elements."""

import numpy as np
import pytest

import relaxeq as rq
from relaxeq import groups
from relaxeq.errors import GroupError
from relaxeq.groups import bridge

NAMES = ["C1", "C2", "C3", "C4", "C6", "C8", "D1", "D2", "D3", "D4", "D6", "D8"]


@pytest.mark.parametrize("name", NAMES)
def test_matrices_represent(name):
    group = groups.point_group(name)
    m = group.matrices
    np.testing.assert_allclose(np.einsum("iab,jbc->ijac", m, m), m[group.mul], atol=1e-12)
    np.testing.assert_allclose(
        m @ m.transpose(0, 2, 1), np.tile(np.eye(2), (group.order, 1, 1)), atol=1e-12
    )
    assert len(np.unique(m.round(6).reshape(-1, 4), axis=0)) == group.order
    assert group.on_lattice == (name in ("C1", "C2", "C4", "D1", "D2", "D4"))


@pytest.mark.parametrize("name", NAMES)
def test_order_of_elements_is_escnns(name):
    escnn = bridge.load()
    family = escnn.cyclic_group if name[0] == "C" else escnn.dihedral_group
    theirs = list(family(int(name[1:])).elements)
    products = [[theirs.index(a @ b) for b in theirs] for a in theirs]
    for ours in (
        groups.point_group(name),
        (groups.cyclic if name[0] == "C" else groups.dihedral)(int(name[1:])),
    ):
        assert ours.mul.tolist() == products


def test_conventions():
    assert groups.p4().matrices[1].tolist() == [[0, -1], [1, 0]]
    assert groups.pm().matrices[1].tolist() == [[1, 0], [0, -1]]
    assert [repr(groups.point_group(n)) for n in ("C1", "C4", "D4", "C6", "p4")] == [
        "p1",
        "p4",
        "p4m",
        "C6",
        "p4",
    ]


@pytest.mark.parametrize("n", [8, 12])
def test_equal_point_groups_are_on_the_lattice_alike(n):
    """Of C8's floats, those of the quarter turns are whole numbers."""
    part = groups.point_group(f"C{n}").subgroup([n // 4]).group
    assert part == groups.p4()
    assert part.on_lattice
    assert part.matrices.dtype == np.int64
    assert not groups.point_group(f"C{n}").on_lattice
    field, plain = (rq.Field(groups.PlanarGroup(g), 1, (4, 4)) for g in (part, groups.p4()))
    x = plain.random(1)
    assert field.act(field.group.element((1, 0), 1), x).equal(
        plain.act(plain.group.element((1, 0), 1), x)
    )
    with pytest.raises(GroupError, match=r"size=\(8, 4\) of a field is not square"):
        rq.Field(field.group, 1, (8, 4))
