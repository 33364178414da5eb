"""Sentences about a fit that deserve a second look."""

from collections.abc import Iterator

from relaxeq.evidence.updates import HIGHEST
from relaxeq.recipe import FitResult
from relaxeq.recipe.result import History
from relaxeq.report.rows import Row, by_layer, priors_of, relaxed_layers

FALL = 0.02
"""Nats per datum by which the training NLL or the evidence may fall at the end unmentioned."""


def warnings_of(result: FitResult, rows: tuple[Row, ...]) -> tuple[str, ...]:
    """What a reader should know before trusting the table; empty for a healthy fit."""
    return (
        *_missing(result),
        *_at_bound(rows),
        *_dead(rows),
        *_not_converged(result.history),
        *_evidence_falls(result.history),
    )


def _missing(result: FitResult) -> Iterator[str]:
    for _, paths in relaxed_layers(result.net):
        for full in paths:
            if not priors_of(full, result.priors):
                yield (
                    f"{full} is frozen or deterministic: it has no prior, and the shares of its "
                    "layer leave it out."
                )


def _at_bound(rows: tuple[Row, ...]) -> Iterator[str]:
    for row in rows:
        if HIGHEST <= row.precision < float("inf"):
            yield (
                f"{row.name}: the prior precision of {row.path} is at its upper bound "
                f"{HIGHEST:.0e}; the path is off, and the evidence will not bring it back."
            )


def _dead(rows: tuple[Row, ...]) -> Iterator[str]:
    for layer in by_layer(rows):
        if all(row.effective_parameters == 0 for row in layer):
            yield (
                f"{layer[0].name}: γ is 0 for every path, so the data determine none of its "
                "weights; all paths are off, or its outputs are dead."
            )


def _not_converged(history: History) -> Iterator[str]:
    losses = [row["train_nll"] for row in history]
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


def _evidence_falls(history: History) -> Iterator[str]:
    trace = [(row["evidence"], row["epoch"]) for row in history if "evidence" in row]
    if not trace:
        return
    best, best_epoch = max(trace)
    last, last_epoch = trace[-1]
    if best - last > FALL:
        yield (
            f"The evidence fell from {best:.3f} (epoch {best_epoch}) to {last:.3f} nats per datum "
            f"(epoch {last_epoch}); the weights may overfit, or lr be too high."
        )
