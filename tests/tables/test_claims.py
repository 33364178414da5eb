"""What each table claims, on figures for which it holds and on figures for which it does not."""

from collections.abc import Callable, Iterable

import pytest

from relaxeq.data.symmetric import PATHS
from relaxeq.study import Claim
from relaxeq.tables import TABLES, Entry, Results
from relaxeq.tables.group_study import ALL, NAMES, SPEC
from relaxeq.tables.table3 import SPEC as THREE

Make = Callable[..., Entry]
TableOf = Callable[..., Results]


def failing(claims: Iterable[Claim]) -> list[str]:
    return [claim.text for claim in claims if not claim.holds]


TABLE1 = {
    (row, column, objective): (accuracy, 0.3 if objective == "laplace" else 0.4)
    for (row, column), accuracy in {
        ("FC", "digit"): 0.90,
        ("CONV", "digit"): 0.95,
        ("F-FC+CONV", "digit"): 0.945,
        ("FC", "digit+quadrant"): 0.89,
        ("CONV", "digit+quadrant"): 0.24,
        ("F-FC+CONV", "digit+quadrant"): 0.93,
    }.items()
    for objective in ("map", "laplace")
}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, None),
        (
            {("F-FC+CONV", "digit", "laplace"): (0.939, 0.3)},
            "digit: learned F-FC+CONV reaches 93.9 %, within a point of CONV with 95.0 %",
        ),
        (
            {("FC", "digit+quadrant", "laplace"): (0.95, 0.3)},
            "digit+quadrant: learned F-FC+CONV reaches 93.0 %, within a point of FC with 95.0 %",
        ),
        (
            {("CONV", "digit+quadrant", "laplace"): (0.41, 0.3)},
            "digit+quadrant: CONV cannot see the quadrant and stays below 40 %, at 41.0 %",
        ),
        (
            {("FC", "digit", "laplace"): (0.9, 0.4)},
            "Laplace beats MAP in NLL in 5 of 6 rows, not in FC on digit (0.400 to 0.400)",
        ),
    ],
)
def test_table_1(table_of: TableOf, changes: dict, text: str | None) -> None:
    claims = TABLES["1"].claims(table_of(TABLE1 | changes))
    assert len(claims) == 4
    assert failing(claims) == ([] if text is None else [text])


def test_nothing_is_claimed_of_what_was_not_trained(table_of: TableOf) -> None:
    for name, table in TABLES.items():
        assert table.claims(Results(())) == (), name
    half = table_of({("FC", "digit", "map"): (0.9, 0.1), ("CONV", "digit", "map"): (0.9, 0.1)})
    assert TABLES["1"].claims(half) == ()


def test_table_2_asks_for_early_convolutions_and_for_accuracy(make: Make) -> None:
    keys = [(row, "f", "laplace") for row in ("CONV", "FC+CONV", "F-FC+CONV")]
    good = Results(tuple(make(key) for key in keys))
    assert len(TABLES["2"].claims(good)) == 3
    assert failing(TABLES["2"].claims(good)) == []
    late = good.merged([make(keys[1], shares=(0.01, 0.06, 0.0, 0.0))])
    assert failing(TABLES["2"].claims(late)) == [
        "f, FC+CONV: FC switches off in the first 3 layers, with shares of 1, 6, 0 %"
    ]
    worse = good.merged([make(keys[2], accuracy=0.88)])
    (text,) = failing(TABLES["2"].claims(worse))
    assert text == "f: learned F-FC+CONV reaches 88.0 %, within a point of CONV with 90.0 %"


def test_table_3_asks_for_more_gconv_on_turned_images(make: Make) -> None:
    plain, turned = (THREE, "mnist", "laplace"), (THREE, "rotated mnist", "laplace")
    rising = Results((make(plain, shares=(0.5, 0.5)), make(turned, shares=(0.4, 0.5))))
    (claim,) = TABLES["3"].claims(rising)
    assert claim == Claim("mnist: the share of GCONV rises with rotation, from 25 to 28 %", True)
    assert failing(TABLES["3"].claims(rising.merged([make(turned, shares=(0.6, 0.5))])))


def test_table_4_asks_where_layers_are_not_convolutional(make: Make) -> None:
    key = ("FC+CONV", "f", "laplace")
    assert failing(TABLES["4"].claims(Results((make(key),)))) == []
    early = Results((make(key, shares=(0.9, 0.1, 0.1, 0.1)),))
    assert failing(TABLES["4"].claims(early)) == [
        "f, FC+CONV: the first 3 layers are CONV, but not [0]"
    ]
    free = Results((make(key, shares=(0.1, 0.1, 0.1, 0.9, 0.9, 0.9)),))
    assert failing(TABLES["4"].claims(free)) == [
        "f, FC+CONV: 3 of 6 layers turn convolutional, not [3, 4, 5]"
    ]


@pytest.mark.parametrize("objective", ["map", "laplace"])
def test_table_7_asks_for_full_over_pointwise_over_classical(
    table_of: TableOf, objective: str
) -> None:
    rows = ("full", "pointwise", "classical")
    keys = [(row, "rotated mnist", objective) for row in rows]
    good = table_of(dict(zip(keys, ((0.9, 0.1), (0.8, 0.1), (0.7, 0.1)), strict=True)))
    assert failing(TABLES["7"].claims(good)) == []
    equal = table_of(dict.fromkeys(keys, (0.8, 0.1)))
    assert len(failing(TABLES["7"].claims(equal))) == 2


def test_the_group_study_asks_for_the_right_group_twice(make: Make) -> None:
    paths = list(PATHS.values())
    entries = []
    for name, column in NAMES.items():
        spec = "+".join(sorted(paths, key=lambda path: path != PATHS[name]))
        entries.append(make((ALL, column, "laplace"), shares=(0.9,), spec=spec))
        for path in paths:
            evidence = -1.0 if path == PATHS[name] else -1.1
            entries.append(make((path, column, "laplace"), evidence=evidence))
    right = Results(tuple(entries))
    assert len(TABLES["groups"].claims(right)) == 10
    assert failing(TABLES["groups"].claims(right)) == []
    wrong = right.merged(
        [
            make((ALL, "Z2", "laplace"), shares=(0.9,), spec=SPEC),
            make(("GCONV", "none", "laplace"), evidence=-0.5),
        ]
    )
    assert failing(TABLES["groups"].claims(wrong)) == [
        "none: of single paths the evidence prefers FC (-1.000), but here GCONV (-0.500)",
        "Z2: the layer turns CONV for 0 of 1 seeds, else FC",
    ]
