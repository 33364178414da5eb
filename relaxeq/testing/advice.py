"""Advice: what breaks equivariance in modules of known kinds, and what to write instead."""

from torch import nn

from relaxeq.paths import Path

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.MaxPool1d, nn.AvgPool1d)
NORMS = (nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm, nn.LayerNorm)


def advice_on(module: nn.Module) -> str:
    """A sentence, or nothing for modules whose kind says nothing."""
    if isinstance(module, Path) and not module.off:
        return (
            f"Its symmetry is {module.symmetry!r} and σ² = {module.prior_variance:.3g}: "
            "prior_variance = 0 and sample_prior_() switch it off."
        )
    if isinstance(module, CONVOLUTIONS):
        return _on_convolution(module)
    if isinstance(module, POOLS) and _sizes(module.stride) != {1}:
        return (
            f"stride={module.stride} keeps one phase of the grid and drops the rest of odd grids: "
            "pool with stride=1, then subsample by relaxeq.layers.polyphase."
        )
    if isinstance(module, NORMS):
        return "Its scale and shift must be equal over all positions and orientations of a channel."
    if isinstance(module, nn.Flatten):
        return "It turns positions into channels: pool over the grid first."
    return ""


def _on_convolution(module: nn.Module) -> str:
    if _sizes(module.stride) != {1}:
        return (
            f"stride={module.stride} keeps one phase of the grid: convolve with stride=1, then "
            "subsample by relaxeq.layers.polyphase."
        )
    if module.padding_mode != "circular" and _sizes(module.kernel_size) != {1}:
        return (
            f"padding_mode={module.padding_mode!r} sees the border of the torus: write "
            "padding_mode='circular'."
        )
    return "Its filters are free: only shifts are safe, not the point group. Use GCONV."


def _sizes(value: object) -> set[object]:
    return set(value) if isinstance(value, tuple) else {value}
