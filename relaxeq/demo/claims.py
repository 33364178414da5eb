"""What the toy problem must show (§6.1), as sentences that the results make true or false."""

from collections.abc import Iterator

from relaxeq.demo.config import OBJECTIVES, SPECS, TASKS
from relaxeq.demo.results import Results
from relaxeq.study import ACCURACY, EVIDENCE, Claim

POINTS = 2.0
"""How far below its better parent the learned model may stay, in points of accuracy."""
BLIND = 40.0
"""Accuracy (%) that a translation-invariant network cannot reach when quadrants count."""


def claims(results: Results) -> tuple[Claim, ...]:
    """The claims, judged by means over seeds; none when the config left out what they compare."""
    config = results.config
    complete = all(
        set(wanted) <= set(given)
        for wanted, given in (
            (TASKS, config.tasks),
            (SPECS, config.specs),
            (OBJECTIVES, config.objectives),
        )
    )
    if not complete:
        return ()
    return (*_accuracies(results), _blind(results), *_types(results), *_evidence(results))


def _accuracies(results: Results) -> Iterator[Claim]:
    for task in TASKS:
        mean = {spec: results.figure(ACCURACY, task, spec, "laplace").mean for spec in SPECS}
        learned = mean["F-FC+CONV"]
        parent = max(("F-FC", "CONV"), key=mean.__getitem__)
        text = (
            f"{task}: learned F-FC+CONV reaches {learned:.1f} %, within {POINTS:g} points of the "
            f"better parent, {parent} with {mean[parent]:.1f} %"
        )
        yield Claim(text, learned >= mean[parent] - POINTS)


def _blind(results: Results) -> Claim:
    figures = [results.figure(ACCURACY, TASKS[1], "CONV", objective) for objective in OBJECTIVES]
    best = max(figure.mean for figure in figures)
    return Claim(
        f"{TASKS[1]}: CONV fails, with {best:.1f} % at most, since it cannot see the quadrant",
        best < BLIND,
    )


def _types(results: Results) -> Iterator[Claim]:
    for task in TASKS:
        shares = [figure.mean for figure in results.shares(task, "CONV")]
        count, total = sum(share > 0.5 for share in shares), len(shares)
        if task == TASKS[0]:
            text = f"{task}: the learned layers turn convolutional, {count} of {total}"
            yield Claim(text, count == total)
        else:
            text = f"{task}: at least one learned layer does not turn convolutional"
            yield Claim(f"{text}, {total - count} of {total}", count < total)


def _evidence(results: Results) -> Iterator[Claim]:
    for task, right, wrong in ((TASKS[0], "CONV", "F-FC"), (TASKS[1], "F-FC", "CONV")):
        means = [results.figure(EVIDENCE, task, spec, "laplace").mean for spec in (right, wrong)]
        text = f"{task}: the evidence prefers {right} ({means[0]:.3f}) to {wrong} ({means[1]:.3f})"
        yield Claim(text, means[0] > means[1])
