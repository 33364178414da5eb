"""Names of subgroups: each reads back, and says nothing of groups that were named before."""

import pytest
import torch

import relaxeq as rq
from relaxeq import groups
from relaxeq.errors import SpecError
from relaxeq.paths import find_subgroup, subgroup_name

C2 = groups.cyclic(2)
V4 = groups.direct_product(C2, C2).mul


def klein(*names, name="V"):
    return groups.from_cayley_table(V4, name=name, names=names)


GROUPS = {
    "cube": groups.octahedral,
    "S4": lambda: groups.symmetric(4),
    "pairs": lambda: groups.direct_product(C2, groups.direct_product(C2, C2)),
    "commas": lambda: klein("e", "a, b", "b", "a"),
    "numbers": lambda: klein("0", "2", "1", "x+y"),
    "named like its part": lambda: klein("e", "a", "b", "c", name="C2"),
    "named like elements": lambda: klein("e", "a", "b", "c", name="{e, a}"),
    "a unique C2": lambda: groups.from_cayley_table(groups.cyclic(4).mul, name="C2"),
    "p4m in C8's matrices": lambda: groups.point_group("D8").subgroup([2, 8]).group,
}


@pytest.mark.parametrize("name", GROUPS)
def test_names_read_back(name):
    group = GROUPS[name]()
    parts = group.subgroups()
    names = [subgroup_name(part) for part in parts]
    assert len(set(names)) == len(names)
    assert [find_subgroup(group, name) for name in names] == list(parts)


def test_names_do_not_depend_on_groups_named_before():
    """Equal groups, of which each has names or matrices of its own."""
    tables = klein("e", "a", "b", "c"), klein("e", "b", "a", "c")
    assert tables[0] == tables[1]
    assert [subgroup_name(g.subgroup([1])) for g in tables] == ["{e, a}", "{e, b}"]
    assert find_subgroup(tables[1], "{e, a}").embedding == (0, 2)
    D2, product = groups.dihedral(2), groups.direct_product(C2, C2)
    assert product == D2
    assert [subgroup_name(part) for part in D2.subgroups()][1] == "C2"
    assert [subgroup_name(part) for part in product.subgroups()][1] == "{(e, e), (e, r)}"


def test_a_subgroup_of_an_equal_group_has_the_names_of_this_one():
    first, second = klein("e", "a", "b", "c"), klein("e", "b", "a", "c")
    layer = rq.RelaxedLinear(second.regular, second.regular, groups=[first.subgroup([1])])
    assert list(layer.paths) == ["MAP[{e, b}]"]


def test_a_path_keeps_the_elements_that_its_name_lists(float64):
    for group in (klein("e", "a", "b", "c"), klein("e", "b", "a", "c")):
        layer = rq.RelaxedLinear(group.regular, group.regular, spec="MAP[{e, a}]")
        commutes = []
        for g in group.elements:
            moved = torch.from_numpy(group.regular(g).copy())
            commutes.append(torch.allclose(layer.matrix() @ moved, moved @ layer.matrix()))
        kept = [str(g) for g, kept in zip(group.elements, commutes, strict=True) if kept]
        assert sorted(kept) == ["a", "e"]


def test_large_groups_are_not_listed():
    group = groups.cyclic(240)
    layer = rq.RelaxedLinear(group.trivial, group.trivial, groups=[group.subgroup([2]), "C3"])
    assert list(layer.paths) == ["MAP[C120]", "MAP[C3]"]
    for name in ("C7", "C480", "C99999999999", "D2", "{e, r}", "", "p4"):
        with pytest.raises(SpecError, match=r"no subgroup of C240: write all .*group.subgroup"):
            find_subgroup(group, name)
    with pytest.raises(SpecError, match=r"'C9' is no subgroup of C6: write one of 'e', 'C2', "):
        find_subgroup(groups.cyclic(6), "C9")
