"""Sites of torch's own layers: linear maps, and convolutions of every padding and stride."""

from torch import nn
from torch.nn.modules.conv import _ConvNd

from relaxeq.sites.kronecker import Site
from relaxeq.sites.layouts import Layout, Ones, Rearranged, Summed
from relaxeq.sites.patches import Patches, PlanePatches, TorusPatches
from relaxeq.sites.registry import register_sites


def bias_site(channels: int, pattern: str = "n c ... -> n 1 1 c", **sizes: int) -> Site:
    """The exact site of a bias per channel: gradients are summed over positions first."""
    return Site(Ones(), Summed(pattern, tuple(sizes.items())), (1, channels, 1))


@register_sites(nn.Linear)
def linear_sites(module: nn.Linear) -> dict[str, Site]:
    """Weight and bias; axes between batch and features are shared positions."""
    weight = Site(
        Rearranged("n ... i -> n 1 (...) i"),
        Rearranged("n ... o -> n 1 (...) o"),
        (1, module.out_features, module.in_features),
    )
    sites = {"weight": weight}
    if module.bias is not None:
        sites["bias"] = bias_site(module.out_features, "n ... c -> n 1 1 c")
    return sites


@register_sites(nn.Conv1d, nn.Conv2d, nn.Conv3d)
def conv_sites(module: _ConvNd) -> dict[str, Site]:
    """Weight, with a block per group, and bias."""
    groups = module.groups
    fan_in = module.weight[0].numel()
    weight = Site(
        _patches(module),
        Rearranged("n (b o) ... -> n b (...) o", (("b", groups),)),
        (groups, module.out_channels // groups, fan_in),
    )
    sites = {"weight": weight}
    if module.bias is not None:
        sites["bias"] = bias_site(module.out_channels)
    return sites


def _patches(module: _ConvNd) -> Layout:
    kernel = tuple(module.weight.shape[2:])
    stride, dilation = (_per_axis(step, len(kernel)) for step in (module.stride, module.dilation))
    pad = _padding(module, kernel, dilation)
    plain = module.groups == 1 and set(stride) == set(dilation) == {1}
    square = len(kernel) == 2 and kernel[0] == kernel[1] and kernel[0] % 2 == 1
    same = set(pad) == {kernel[0] // 2}
    if module.padding_mode == "circular" and plain and square and same:
        return TorusPatches(kernel[0])
    if module.padding_mode == "zeros" and plain and kernel == (3, 3) and same:
        return PlanePatches()
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    return Patches(kernel, stride, dilation, pad, mode, module.groups)


def _padding(
    module: _ConvNd, kernel: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[int, ...]:
    """Before and after each axis, last axis first: what the forward pass reads, also if changed."""
    if module.padding_mode != "zeros":
        return tuple(module._reversed_padding_repeated_twice)
    if module.padding == "same":
        totals = [step * (size - 1) for size, step in zip(kernel, dilation, strict=True)]
        return tuple(side for t in reversed(totals) for side in (t // 2, t - t // 2))
    around = 0 if isinstance(module.padding, str) else module.padding  # "valid"
    return tuple(side for p in reversed(_per_axis(around, len(kernel))) for side in (p, p))


def _per_axis(value: int | tuple[int, ...], axes: int) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,) * axes
