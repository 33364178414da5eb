"""Means, claims and tables of made-up outcomes."""

import json
import math
from collections.abc import Callable

import pytest

from relaxeq.demo import PRESETS, claims, markdown, table1_record, terminal
from relaxeq.report import plain
from relaxeq.study import Claim, to_json
from relaxeq.tables import Results

Make = Callable[..., Results]
THREE = (0, 1, 2)
ACCURACY = "test accuracy (%)"


def failing(found: tuple[Claim, ...]) -> list[str]:
    return [claim.text for claim in found if not claim.holds]


def test_all_claims_hold_for_the_papers_picture(make: Make) -> None:
    found = claims(make())
    assert len(found) == 7
    assert failing(found) == []


@pytest.mark.parametrize(
    ("changes", "shares", "text"),
    [
        ({("digit", "F-FC+CONV"): (0.919, -0.6)}, {}, "digit: learned F-FC+CONV reaches 91.9 %"),
        (
            {("digit+quadrant", "F-FC"): (0.95, -1.0)},
            {},
            "digit+quadrant: learned F-FC+CONV reaches",
        ),
        ({("digit+quadrant", "CONV"): (0.45, -2.0)}, {}, "quadrant: CONV fails, with 45.0 %"),
        ({}, {"digit": (0.9, 0.4)}, "digit: the learned layers turn convolutional, 1 of 2"),
        ({}, {"digit+quadrant": (0.9, 0.6)}, "does not turn convolutional, 0 of 2"),
        ({("digit", "CONV"): (0.94, -1.6)}, {}, "digit: the evidence prefers CONV (-1.600)"),
        (
            {("digit+quadrant", "CONV"): (0.24, -0.9)},
            {},
            "digit+quadrant: the evidence prefers F-FC",
        ),
    ],
    ids=["two points", "better parent", "blind", "convolutional", "not all", "conv", "f-fc"],
)
def test_each_claim_can_fail(make: Make, changes: dict, shares: dict, text: str) -> None:
    (found,) = failing(claims(make(changes=changes, shares=shares)))
    assert text in found


def test_claims_are_about_means_over_seeds(make: Make) -> None:
    assert failing(claims(make(spread=0.05, seeds=THREE))) == []


@pytest.mark.parametrize(
    ("without", "left"),
    [("F-FC+CONV", 3), ("F-FC", 3), ("laplace", 1), ("map", 7), ("digit", 4), ("CONV", 2)],
)
def test_nothing_is_claimed_of_what_was_not_trained(make: Make, without: str, left: int) -> None:
    found = make(without=without)
    assert len(claims(found)) == left
    assert not any(f"{without}:" in claim.text for claim in claims(found) if without == "digit")
    assert f" {without} " not in markdown(found).partition("\n")[0]
    assert plain(terminal(found))


def test_the_terminals_table(make: Make) -> None:
    words = [" ".join(line.split()) for line in plain(terminal(make())).splitlines()]
    assert words[1] == "F-FC CONV F-FC+CONV F-FC CONV F-FC+CONV"
    assert words[3:6] == [
        "test accuracy (%)",
        "digit 88.0 94.0 93.0 88.0 94.0 93.0",
        "digit+quadrant 85.0 24.0 90.0 85.0 24.0 90.0",
    ]
    assert "digit -1.500 -0.500 -0.600 -1.500 -0.500 -0.600" in words
    assert "digit 2,000 2,000 4,000 2,000 2,000 4,000" in words
    assert sum(word.startswith("yes ") for word in words) == 7
    assert max(map(len, plain(terminal(make())).splitlines())) <= 110


def test_several_seeds_show_their_deviation(make: Make) -> None:
    large = {("digit+quadrant", "CONV"): (0.24, -17.52)}
    several = make(changes=large, spread=0.01, seeds=THREE)
    text = plain(terminal(several))
    assert "log evidence (nats)" in text
    assert "94.0 ± 1.0" in text
    assert max(map(len, text.splitlines())) <= 110
    assert "| digit: test accuracy (%) | 88.0 ± 1.0 | 94.0 ± 1.0 |" in markdown(several)
    assert "±" not in markdown(make())


def test_markdown_has_shares_and_claims(make: Make) -> None:
    text = markdown(make(shares={"digit": (0.9, 0.4)}))
    assert "| digit, F-FC+CONV: layer | F-FC (%) | CONV (%) |" in text
    assert "| 1 | 60.0 | 40.0 |" in text
    assert text.count("- [x] ") == 6
    assert text.count("- [ ] ") == 1


def test_the_record_is_json_with_every_cell(make: Make) -> None:
    values = json.loads(to_json(table1_record(PRESETS["long"], make(spread=0.01, seeds=THREE))))
    assert len(values["table1"]) == 12
    (cell,) = [
        cell
        for cell in values["table1"]
        if (cell["task"], cell["spec"], cell["objective"]) == ("digit", "CONV", "map")
    ]
    assert cell[ACCURACY] == {"mean": pytest.approx(94.0), "std": pytest.approx(1.0)}
    assert (cell["seeds"], cell["seconds"], cell["parameters"]) == ([0, 1, 2], [12.3] * 3, 2000)
    assert values["settings"]["training"]["epochs"] == 160
    assert values["seeds"] == [0, 1, 2]
    assert all(claim["holds"] for claim in values["claims"])
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(math.nan)
