"""What ours and theirs are measured on: Table 6's CONV network in plain torch layers."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

STRIDES = (1, 2, 1, 2, 1, 2, 2, 2)
WIDTHS = (1, 2, 2, 4, 4, 8, 8, 16)
CLASSES, CHANNELS, SIZE = 10, 3, 32


@dataclass(frozen=True)
class Batches:
    """Random images and labels, the same in every process; `dataset` is what laplace-torch asks."""

    count: int
    batch: int = 128

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for start in range(0, self.count, self.batch):
            draws = torch.Generator().manual_seed(start)
            size = min(self.batch, self.count - start)
            x = torch.randn(size, CHANNELS, SIZE, SIZE, generator=draws)
            yield x, torch.randint(CLASSES, (size,), generator=draws)

    def __len__(self) -> int:
        return -(-self.count // self.batch)

    @property
    def dataset(self) -> range:
        return range(self.count)


def network(padding: str, alpha: int = 10) -> nn.Sequential:
    """Eight 3×3 convolutions and two linear layers; `padding` is "zeros" or "circular"."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    before = CHANNELS
    for stride, width in zip(STRIDES, WIDTHS, strict=True):
        after = alpha * width
        layers += [nn.Conv2d(before, after, 3, stride, 1, padding_mode=padding), nn.ReLU()]
        before = after
    layers += [nn.Flatten(), nn.Linear(before, 4 * before), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(4 * before, CLASSES))
