"""Evidence: the Laplace log marginal likelihood, its gradient, its updates. Knows no network."""

from relaxeq.evidence.maximum import LBFGS
from relaxeq.evidence.noise import Noise, rescaled
from relaxeq.evidence.terms import (
    Term,
    check_precisions,
    log_marginal_likelihood,
)
from relaxeq.evidence.updates import Adam, MacKay, Moments, Precisions, Update, bounded

__all__ = [
    "LBFGS",
    "Adam",
    "MacKay",
    "Moments",
    "Noise",
    "Precisions",
    "Term",
    "Update",
    "bounded",
    "check_precisions",
    "log_marginal_likelihood",
    "rescaled",
]
