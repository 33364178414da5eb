"""The Gram of patches position by position: where there are few, without what lies outside."""

from collections.abc import Sequence
from itertools import product

from einops import rearrange
from torch import Tensor

from relaxeq.shapes import Gram
from relaxeq.sites.outer import gram_of

FEW = 4
"""Positions up to which patches are read one by one: they share few pixels."""

Span = tuple[slice, slice]


def position_gram(
    x: Tensor, axes: Sequence[Sequence[Span]], kernel: Sequence[int], groups: int = 1
) -> Gram:
    """Σ_{n,p} v vᵀ of patches v(c, δ) of a grid x (n, c, row, …), per group.

    `axes` holds for every axis the `spans` of its positions. Taps outside the grid are 0 and take
    no part in the products; one patch is held at a time.
    """
    every, channels = slice(None), x.shape[1] // groups
    total = x.new_zeros(groups, *kernel, channels, *kernel, channels)
    for position in product(*axes):
        taps, places = (list(slices) for slices in zip(*position, strict=True))
        inside = (every, every, *places)
        patch = x[inside]
        sides = (*patch.shape[2:], channels)
        gram = gram_of(rearrange(patch, "n (b c) ... -> n b 1 (... c)", b=groups))
        there = (every, *taps, every, *taps)
        total[there] += gram.view(groups, *sides, *sides)
    rank = len(kernel)
    front = total.movedim((rank + 1, 2 * rank + 2), (1, rank + 2))
    return front.flatten(rank + 2).flatten(1, rank + 1)


def spans(size: int, kernel: int, stride: int, dilation: int, pad: tuple[int, int]) -> list[Span]:
    """For each position of a line with zeros around it: which taps are inside, and where."""
    found = []
    last = size + sum(pad) - dilation * (kernel - 1) - 1
    for start in range(-pad[0], last - pad[0] + 1, stride):
        first = max(0, -(start // dilation))
        end = min(kernel, (size - 1 - start) // dilation + 1)
        if first < end:
            inside = start + dilation * first, start + dilation * (end - 1) + 1
            found.append((slice(first, end), slice(*inside, dilation)))
    return found
