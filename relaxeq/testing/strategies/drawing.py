"""What all strategies share: how they are composed, and seeds."""

import random
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Draw = Callable[..., Any]  # st.DrawFn, which cannot be checked while tests run
P = ParamSpec("P")
R = TypeVar("R")


def composite(function: Callable[Concatenate[Draw, P], R]) -> Callable[P, SearchStrategy[R]]:
    """`st.composite`, leaving Python's global random state as it was.

    Checks of types and shapes that sample the items of containers may be active in what is drawn,
    and Hypothesis refuses strategies that draw from there.
    """

    @st.composite
    @wraps(function)
    def drawn(draw: Any, /, *args: P.args, **options: P.kwargs) -> R:
        state = random.getstate()
        try:
            return function(draw, *args, **options)
        finally:
            random.setstate(state)

    return drawn


def seeds() -> SearchStrategy[int]:
    """Seeds of weights and features."""
    return st.integers(0, 2**16 - 1)
