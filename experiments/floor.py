"""Operations and bytes that KFAC of Table 6's CONV network takes at least, written out.

Per datum and layer, in multiply-adds, for a map (in, out) with S positions:
    forward            in·out·S
    one column of Λ½   in·out·S      back to the activations; not in the first layer
    Gram of outputs    out(out+1)/2·S per column
    Gram of inputs     half of all pairs of patch entries, each product taken once: a pair of taps
                       counts as often as there are different shifts between taps; or, where that
                       is less, a Hermitian Gram of all phases per frequency, transforms for free
An epoch of training takes forward, twice that backward (inputs, weights), no input gradient in the
first layer. Bytes: each activation is written and read once per pass in float32.
"""

import math
from dataclasses import dataclass

from peers.network import CHANNELS, CLASSES, SIZE, STRIDES, WIDTHS


@dataclass(frozen=True)
class Layer:
    """A convolution (or, with one tap and one position, a linear layer)."""

    before: int
    after: int
    taps: int
    stride: int
    positions: int

    @property
    def maps(self) -> int:
        return self.before * self.taps**2 * self.after * self.positions

    @property
    def outputs(self) -> int:
        return self.after * self.positions

    @property
    def gram_of_outputs(self) -> int:
        return self.after * (self.after + 1) // 2 * self.positions

    @property
    def gram_of_inputs(self) -> float:
        directly = self.before**2 * self.shifts**2 / 2 * self.positions
        return min(directly, 2 * self.before**2 * self.stride**4 * self.frequencies)

    @property
    def frequencies(self) -> int:
        """Of the smallest torus on which the correlations of the phases do not wrap around."""
        side = math.isqrt(self.positions) + (self.taps - 1) // self.stride
        return side * (side // 2 + 1)

    @property
    def shifts(self) -> int:
        """Ordered pairs of taps of one axis whose products differ: by shift and by residue."""
        pairs = {((b - a), a % self.stride) for a in range(self.taps) for b in range(self.taps)}
        return len(pairs)


def layers(alpha: int) -> list[Layer]:
    found, before, grid = [], CHANNELS, SIZE
    for stride, width in zip(STRIDES, WIDTHS, strict=True):
        grid //= stride
        found.append(Layer(before, alpha * width, 3, stride, grid**2))
        before = alpha * width
    return [*found, Layer(before, 4 * before, 1, 1, 1), Layer(4 * before, CLASSES, 1, 1, 1)]


@dataclass(frozen=True)
class Work:
    """Multiply-adds and bytes, per datum."""

    operations: float
    bytes: float

    def seconds(self, data: int, operations_per_second: float, bytes_per_second: float) -> float:
        """Whichever is longer: to multiply, or to move."""
        work = (self.operations / operations_per_second, self.bytes / bytes_per_second)
        return data * max(work)


def floors(alpha: int = 10) -> dict[str, Work]:
    """Of an epoch of training, and of curvature with all columns (K − 1) and with one."""
    every = layers(alpha)
    forward, first = sum(layer.maps for layer in every), every[0].maps
    activations = 4 * sum(layer.outputs for layer in every)
    inputs = sum(layer.gram_of_inputs for layer in every)
    column = forward - first + sum(layer.gram_of_outputs for layer in every)
    return {
        "epoch": Work(3 * forward - first, 4 * activations),
        "exact": Work(forward + inputs + (CLASSES - 1) * column, 2 * CLASSES * activations),
        "mc": Work(forward + inputs + column, 4 * activations),
    }
