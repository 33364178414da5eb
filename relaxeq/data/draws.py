"""Random numbers that depend on a seed and a purpose, and on nothing that ran before."""

import numpy as np

from relaxeq.errors import DataError


def generator(seed: int, purpose: int) -> np.random.Generator:
    """Return the stream of (seed, purpose); streams of different pairs are independent."""
    if seed < 0:
        raise DataError(f"seed must be at least 0, not {seed}")
    return np.random.default_rng([seed, purpose])
