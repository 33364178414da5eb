"""PaperNet: the architecture of Table 6, for any spec."""

from typing import final

import torch
from torch import Tensor, nn

from relaxeq.arguments import is_count
from relaxeq.errors import SpecError
from relaxeq.fields import Field
from relaxeq.groups import Z2, PlanarGroup
from relaxeq.layers import Lift, OrientationPool, RelaxedLayer
from relaxeq.paths import Sparse

WIDTHS = (1, 2, 2, 4, 4, 8, 8, 16)
STRIDES = (1, 2, 1, 2, 1, 2, 2, 2)


@final
class PaperNet(nn.Module):
    """Table 6: eight relaxed 3×3 layers, two linear ones, ReLU between; logits (batch, classes).

    Widths are α·(1, 2, 2, 4, 4, 8, 8, 16), strides 1, 2, 1, 2, 1, 2, 2, 2 with strict polyphase
    subsampling down to a 1×1 grid; then 16α → 64α → classes. Grids of 8 and 16 leave out the last
    layers, those that would halve a 1×1 grid. With a `group` Z2 ⋊ H, images are repeated over the
    orientations at the input, and the maximum over orientations is taken before the linear layers,
    so that with equivariant paths alone the logits are invariant to shifts and to H (App. F.3).
    GCONV has the `filters` of Table 7: "full", "separable", "depthwise-separable" or "pointwise".
    Sparse paths (Table 2: S-FC, S-CONV) have the `prior` "anchors" or "lengthscales", or a Sparse.
    """

    def __init__(  # noqa: PLR0913  (what Tables 2, 3 and 7 vary)
        self,
        spec: str = "F-FC+CONV",
        in_channels: int = 3,
        classes: int = 10,
        alpha: int = 10,
        size: tuple[int, int] = (32, 32),
        group: PlanarGroup | None = None,
        filters: str = "pointwise",
        prior: str | Sparse = "anchors",
    ) -> None:
        super().__init__()
        _check(in_channels, classes, alpha, size)
        classes, alpha = int(classes), int(alpha)
        planar = Z2() if group is None else group
        field = Field(planar, in_channels, size)
        self.image = Field(planar, in_channels, size, rep="trivial")
        self.layers = nn.ModuleList()
        for width, stride in zip(WIDTHS, STRIDES, strict=True):
            if field.size == (1, 1):
                break
            grid = (field.size[0] // stride, field.size[1] // stride)
            target = Field(planar, alpha * width, grid)
            layer = RelaxedLayer(field, target, spec, stride=stride, filters=filters, prior=prior)
            self.layers.append(layer)
            field = target
        self.out_field = field
        self.lift, self.pool = Lift(self.image), OrientationPool(field)
        self.hidden = nn.Linear(field.channels, 64 * alpha)
        self.head = nn.Linear(64 * alpha, classes)
        nn.init.kaiming_normal_(self.hidden.weight, nonlinearity="relu")
        nn.init.zeros_(self.hidden.bias)

    def features(self, x: Tensor) -> Tensor:
        """The last field's features (batch, channels), their maximum over orientations."""
        x = self.lift(x)
        for layer in self.layers:
            x = torch.relu(layer(x))
        pooled: Tensor = self.pool(x)
        return pooled.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(torch.relu(self.hidden(self.features(x))))
        return logits


def _check(in_channels: int, classes: int, alpha: int, size: tuple[int, int]) -> None:
    for name, value in (("in_channels", in_channels), ("classes", classes), ("alpha", alpha)):
        if not is_count(value):
            raise SpecError(f"{name}={value!r} must be a positive integer.")
    pair = tuple(size) if isinstance(size, tuple | list) else size
    if not isinstance(pair, tuple) or pair not in ((8, 8), (16, 16), (32, 32)):
        raise SpecError(
            f"size={size!r} of PaperNet must be (8, 8), (16, 16) or (32, 32), which its strides "
            "halve to 1×1: pad or resize the images, or stack RelaxedLayer yourself."
        )
