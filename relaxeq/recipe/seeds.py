"""Seeds: the random numbers of an epoch depend on the seed and the epoch, on nothing before."""

from collections.abc import Sequence
from types import TracebackType
from typing import final

import torch

from relaxeq.recipe.chunks import parts_of, tell_epoch

STRIDE = 1_000_003
"""More than the epochs of any run, so that runs of different seeds share no epoch."""


def epoch_seed(seed: int, epoch: int) -> int:
    """The number that seeds an epoch of a run."""
    return seed * STRIDE + epoch


@final
class Randomness:
    """A context in which a run owns torch's generators and its loaders', left as they were.

    A loader's own generator, as in DataLoader(..., generator=g), keeps its place in the seed: other
    seeds of g give other orders. `set_epoch` of a loader or of its sampler is called.
    """

    def __init__(self, loaders: Sequence[object], seed: int) -> None:
        self.seed = seed
        self._loaders = tuple(loaders)
        found = [getattr(part, "generator", None) for one in loaders for part in parts_of(one)]
        own = [g for g in found if isinstance(g, torch.Generator)]
        self._generators = [(g, g.initial_seed(), g.get_state()) for g in own]
        self._fork = torch.random.fork_rng()

    def start(self, epoch: int) -> None:
        """Seed all that an epoch draws from."""
        number = epoch_seed(self.seed, epoch)
        torch.manual_seed(number)
        for generator, base, _ in self._generators:
            generator.manual_seed((base + number) % 2**63)
        for loader in self._loaders:
            tell_epoch(loader, epoch)

    def __enter__(self) -> "Randomness":
        self._fork.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._fork.__exit__(kind, error, trace)
        for generator, _, state in self._generators:
            generator.set_state(state)
