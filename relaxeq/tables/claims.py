"""Claims that several tables make."""

from collections.abc import Iterator

from relaxeq.study import ACCURACY, NLL, Claim
from relaxeq.tables.results import Results

BLIND = 40.0
"""Accuracy (%) that a translation-invariant network cannot reach when quadrants count."""


def as_good_as_the_best(
    results: Results, column: str, learned: str, parents: tuple[str, ...], points: float = 1.0
) -> Iterator[Claim]:
    """By Laplace, `learned` is at most that far below the best of its parents, in % of accuracy."""
    means = {row: results.mean(ACCURACY, (row, column, "laplace")) for row in (learned, *parents)}
    found = {row: mean for row, mean in means.items() if mean is not None}
    if len(found) < len(means):
        return
    best = max(parents, key=found.__getitem__)
    text = (
        f"{column}: learned {learned} reaches {found[learned]:.1f} %, within "
        f"{'a point' if points == 1 else f'{points:g} points'} of {best} with {found[best]:.1f} %"
    )
    yield Claim(text, found[learned] >= found[best] - points)


def laplace_beats_map(results: Results) -> Iterator[Claim]:
    """In every row the test NLL of Laplace is below that of MAP."""
    pairs = []
    for column in results.columns:
        for row in results.rows:
            nlls = [results.mean(NLL, (row, column, o)) for o in ("map", "laplace")]
            if nlls[0] is not None and nlls[1] is not None:
                pairs.append((f"{row} on {column}", nlls[0], nlls[1]))
    if pairs:
        worse = [f"{name} ({lap:.3f} to {mp:.3f})" for name, mp, lap in pairs if lap >= mp]
        text = f"Laplace beats MAP in NLL in {len(pairs) - len(worse)} of {len(pairs)} rows"
        yield Claim(f"{text}{', not in ' + ', '.join(worse) if worse else ''}", not worse)
