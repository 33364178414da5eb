"""What the toy problem must show (§6.1), as sentences that the results make true or false."""

from collections.abc import Iterator

from relaxeq.study import ACCURACY, EVIDENCE, Claim
from relaxeq.tables import BLIND, Results, as_good_as_the_best

TASKS = ("digit", "digit+quadrant")
LEARNED = "F-FC+CONV"
PARENTS = ("F-FC", "CONV")
SPECS = (*PARENTS, LEARNED)
POINTS = 2.0
"""How far below its better parent the learned model may stay, in points of accuracy."""


def claims(results: Results) -> tuple[Claim, ...]:
    """The claims, judged by means over seeds; none of what was not trained."""
    judges = (_accuracies, _blind, _types, _evidence)
    return tuple(claim for judge in judges for claim in judge(results))


def _accuracies(results: Results) -> Iterator[Claim]:
    for task in TASKS:
        yield from as_good_as_the_best(results, task, LEARNED, PARENTS, POINTS)


def _blind(results: Results) -> Iterator[Claim]:
    keys = [("CONV", TASKS[1], objective) for objective in results.objectives]
    means = [results.mean(ACCURACY, key) for key in keys]
    best = max((mean for mean in means if mean is not None), default=None)
    if best is not None:
        text = (
            f"{TASKS[1]}: CONV fails, with {best:.1f} % at most, since it cannot see the quadrant"
        )
        yield Claim(text, best < BLIND)


def _types(results: Results) -> Iterator[Claim]:
    for task in TASKS:
        key = (LEARNED, task, "laplace")
        if not results.cell(key):
            continue
        shares = [figure.mean for figure in results.shares(key, "CONV")]
        count, total = sum(share > 0.5 for share in shares), len(shares)
        if task == TASKS[0]:
            text = f"{task}: the learned layers turn convolutional, {count} of {total}"
            yield Claim(text, count == total)
        else:
            text = f"{task}: at least one learned layer does not turn convolutional"
            yield Claim(f"{text}, {total - count} of {total}", count < total)


def _evidence(results: Results) -> Iterator[Claim]:
    for task, right, wrong in ((TASKS[0], "CONV", "F-FC"), (TASKS[1], "F-FC", "CONV")):
        good, bad = (results.mean(EVIDENCE, (spec, task, "laplace")) for spec in (right, wrong))
        if good is not None and bad is not None:
            text = f"{task}: the evidence prefers {right} ({good:.3f}) to {wrong} ({bad:.3f})"
            yield Claim(text, good > bad)
