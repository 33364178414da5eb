"""Sentences about a fit that deserve a second look."""

from collections.abc import Iterator

from relaxeq.evidence.updates import HIGHEST, LOWEST
from relaxeq.recipe import FitResult
from relaxeq.recipe.result import History
from relaxeq.report.rows import Row, by_layer, others_of, priors_of, relaxed_layers

FALL = 0.02
"""Nats per datum by which the training NLL or the evidence may change at the end unmentioned."""
STEPS = 3
"""Updates in a row that make a trend: one alone may be the noise of sampled labels."""
CLOSE = 0.1
"""Difference of the two largest shares of a layer below which its type is not decided."""
STEEP = 0.3
"""Slope over sampling noise beyond which weights are not at their mode."""


def warnings_of(result: FitResult, rows: tuple[Row, ...]) -> tuple[str, ...]:
    """What a reader should know before trusting the table; empty for a healthy fit."""
    return (
        *_missing(result),
        *_at_bound(result, rows),
        *_dead(result, rows),
        *_undecided(rows),
        *_not_converged(result),
        *_trace(result),
        *_flat(result.history),
    )


def _missing(result: FitResult) -> Iterator[str]:
    for _, paths in relaxed_layers(result.net):
        for full in paths:
            if not priors_of(full, result.priors):
                yield (
                    f"{full} is frozen or deterministic: it has no prior, and the shares of its "
                    "layer leave it out."
                )


def _at_bound(result: FitResult, rows: tuple[Row, ...]) -> Iterator[str]:
    named = {prior.name: prior.precision for prior in others_of(result)}
    every = [(f"{row.name}: the prior precision of {row.path}", row.precision) for row in rows]
    every += [(f"{name}: its prior precision", precision) for name, precision in named.items()]
    for text, precision in every:
        if HIGHEST <= precision < float("inf"):
            yield (
                f"{text} is at its upper bound {HIGHEST:.0e}; its weights are 0 to all digits, and "
                "the evidence will not bring them back."
            )
        elif precision <= LOWEST:
            yield (
                f"{text} is at its lower bound {LOWEST:.0e}: a prior so wide forbids nothing and "
                "costs much evidence; standardise the inputs and targets, or train longer."
            )


def _dead(result: FitResult, rows: tuple[Row, ...]) -> Iterator[str]:
    for layer in by_layer(rows):
        if all(row.effective_parameters == 0 for row in layer):
            yield (
                f"{layer[0].name}: γ is 0 for every path, so the data determine none of its "
                "weights; all paths are off, or its outputs are dead."
            )
    for prior in others_of(result):
        if prior.effective_parameters == 0 and prior.precision < HIGHEST:
            yield (
                f"{prior.name}: γ is 0, since its curvature is; nothing that it does reaches the "
                "outputs for any datum."
            )


def _undecided(rows: tuple[Row, ...]) -> Iterator[str]:
    for layer in by_layer(rows):
        first, *rest = sorted(layer, key=lambda row: -row.share)
        if rest and 0 < first.share < rest[0].share + CLOSE:
            yield (
                f"{first.name}: {first.path} and {rest[0].path} have nearly the same share "
                f"({first.share:.0%} and {rest[0].share:.0%}), so its type is not decided. Paths "
                "that contain one another are told apart slowly: train longer, or with a larger lr."
            )


def _not_converged(result: FitResult) -> Iterator[str]:
    slope = result.slope
    if slope is not None and slope.ratio is not None and slope.ratio > STEEP:
        yield (
            f"The weights have not converged: the gradient of log p(D, θ) has norm "
            f"{slope.norm:.3g}, {slope.ratio:.2f} times its sampling noise; Laplace's method wants "
            f"it near 0 (less than {STEEP} times). Train longer, or with a larger lr."
        )
        return
    losses = [row["train_nll"] for row in result.history]
    window = max(2, len(losses) // 10)
    if len(losses) < 2 * window:
        return
    before = sum(losses[-2 * window : -window]) / window
    after = sum(losses[-window:]) / window
    if before - after > FALL:
        yield (
            f"The weights have not converged: the training NLL still fell from {before:.3f} to "
            f"{after:.3f} nats per datum in the last {2 * window} epochs; train longer."
        )


def _trace(result: FitResult) -> Iterator[str]:
    trace = [(row["evidence"], row["epoch"]) for row in result.history if "evidence" in row]
    if not trace:
        if result.objective == "laplace":
            yield (
                "The evidence was never used: training ended before the first update, and all "
                "precisions are the given ones; train longer, or lower burn_in."
            )
        return
    last = trace[-STEPS - 1 :]
    moves = [after[0] - before[0] for before, after in zip(last, last[1:], strict=False)]
    (first, start), (end, stop) = last[0], last[-1]
    told = f"from {first:.3f} (epoch {start}) to {end:.3f} nats per datum (epoch {stop})"
    if len(moves) < STEPS or abs(end - first) < FALL:
        return
    if max(moves) < 0:
        yield (
            f"The evidence falls, {told}, update by update; the weights may overfit, or lr be too "
            "high."
        )
    if min(moves) > 0:
        yield (
            f"The evidence still rises, {told}, update by update; precisions have not settled: "
            "train longer."
        )


def _flat(history: History) -> Iterator[str]:
    """Precisions that no update moved, though their paths are on."""
    found = [row["precisions"] for row in history if "precisions" in row]
    if len(found) > 1 and found[0] == found[-1] and any(v != "inf" for v in found[0].values()):
        yield (
            f"The trace is flat: {len(found)} updates moved no precision; their lr may be too "
            "small, or the curvature 0."
        )
