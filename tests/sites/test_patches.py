"""Grams of patches by lines, positions and correlations, against whole unfolded patches."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional

from relaxeq.sites import (
    Patches,
    PlanePatches,
    TorusPatches,
    correlations,
    first_taps,
    lines,
    module_sites,
    patches,
)
from relaxeq.sites.lines import patch_gram
from relaxeq.sites.positions import spans

GRIDS = {
    1: [(1,), (2,), (5,), (8,)],
    2: [(1, 1), (1, 4), (2, 2), (5, 3), (7, 8)],
    3: [(2, 1, 3), (3, 4, 5)],
}
TAPS = [  # kernel, stride, dilation
    (1, 1, 1), (2, 1, 1), (3, 1, 1), (3, 2, 1), (3, 3, 1), (3, 4, 1), (2, 2, 1),
    (3, 1, 2), (3, 2, 2), (3, 2, 3), (4, 3, 2), (5, 2, 1),
]  # fmt: skip


def unfolded(padded, layout):
    """(n, group, position, (channel, offset)), each tap a strided slice."""
    rank = len(layout.kernel)
    sizes = [
        (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(
            padded.shape[2:], layout.kernel, layout.stride, layout.dilation, strict=True
        )
    ]
    taps = []
    for offsets in itertools.product(*(range(k) for k in layout.kernel)):
        picked = padded
        for axis in range(rank):
            start, step = offsets[axis] * layout.dilation[axis], layout.stride[axis]
            index = start + step * torch.arange(sizes[axis])
            picked = picked.index_select(2 + axis, index)
        taps.append(picked.flatten(2))
    whole = torch.stack(taps, 2).unflatten(1, (layout.groups, -1))  # n b c taps positions
    return whole.flatten(2, 3).transpose(2, 3)


def truth(x, layout):
    mode = layout.mode
    padded = x if not any(layout.pad) else functional.pad(x, layout.pad, mode=mode)
    rows = unfolded(padded, layout)
    return torch.einsum("nbpf,nbpg->bfg", rows, rows), rows


def fitting(rank):
    """Layouts of one rank with the grids and paddings on which a patch fits."""
    for (kernel, stride, dilation), grid, pad, groups in itertools.product(
        TAPS, GRIDS[rank], (0, 1, 2), (1, 2)
    ):
        reach = dilation * (kernel - 1) + 1
        if all(n + 2 * pad >= reach for n in grid) and (rank < 3 or kernel < 4):
            each = ((k,) * rank for k in (kernel, stride, dilation))
            yield Patches(*each, (pad,) * 2 * rank, "constant", groups), grid


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_every_kernel_stride_dilation_and_group(rank, float64):
    for layout, grid in fitting(rank):
        x = torch.randn(2, 2 * layout.groups, *grid)
        gram, rows = truth(x, layout)
        where = f"{layout} on {grid}"
        torch.testing.assert_close(layout.gram(x), gram, msg=lambda m, w=where: f"{w}: {m}")
        torch.testing.assert_close(layout.expand(x), rows)
        assert layout.shared(x) == rows.shape[2]


MIXED = {  # kernels, strides and pads that differ by axis
    "rows dilated": Patches((3, 2), (1, 2), (2, 1), (1, 0, 2, 1), "constant"),
    "rows strided": Patches((2, 3), (3, 1), (1, 2), (0, 2, 1, 1), "constant", 2),
    "circular": Patches((3, 3), (2, 2), (1, 1), (1, 1, 1, 1), "circular"),
    "circular, uneven": Patches((2, 4), (1, 3), (2, 1), (3, 0, 2, 1), "circular", 2),
    "reflect": Patches((3, 3), (2, 1), (1, 1), (2, 1, 1, 2), "reflect"),
    "replicate": Patches((3, 3), (1, 2), (2, 1), (2, 1, 4, 4), "replicate"),
}


@pytest.mark.parametrize("name", MIXED)
@pytest.mark.parametrize("grid", [(3, 4), (5, 7)])
def test_axes_that_differ(name, grid, float64):
    x = torch.randn(3, 4, *grid)
    gram, rows = truth(x, MIXED[name])
    torch.testing.assert_close(MIXED[name].gram(x), gram)
    assert MIXED[name].shared(x) == rows.shape[2]


PLANES = [(1, 1), (1, 3), (2, 2), (4, 1), (1, 9), (3, 5), (8, 8)]


@pytest.mark.parametrize("grid", PLANES)
@pytest.mark.parametrize("channels", [1, 3, 9])
def test_zeros_around_a_plane(grid, channels, float64):
    check_as_unfolded(PlanePatches(), torch.randn(3, channels, *grid), "constant")


@pytest.mark.parametrize("side", [0, 8, 100])
@pytest.mark.parametrize("few", [0, 100])
def test_by_matrices_fft_and_convolution(side, few, monkeypatch, float64):
    monkeypatch.setattr(correlations, "SIDE", side)
    monkeypatch.setattr(correlations, "FEW_CHANNELS", few)
    x = torch.randn(2, 3, 6, 9)
    check_as_unfolded(TorusPatches(3), x, "circular")
    check_as_unfolded(PlanePatches(), x, "constant")


@pytest.mark.parametrize("kernel", [1, 2, 4])
@pytest.mark.parametrize("few", [0, 100])
def test_correlations_of_a_plane(kernel, few, monkeypatch, float64):
    monkeypatch.setattr(correlations, "FEW_CHANNELS", few)
    x = torch.randn(2, 3, 3, 5)
    found = correlations.plane_correlations(x, kernel)
    assert found.shape == (3, 3, 2 * kernel - 1, 2 * kernel - 1)
    wide = functional.pad(x, (kernel - 1,) * 4)
    for row, column in itertools.product(range(2 * kernel - 1), repeat=2):
        moved = wide[:, :, row : row + 3, column : column + 5]
        truth = torch.einsum("nchw,ndhw->cd", x, moved)
        torch.testing.assert_close(found[:, :, row, column], truth)


def check_as_unfolded(layout, x, mode):
    general = Patches((3, 3), (1, 1), (1, 1), (1, 1, 1, 1), mode)
    gram, rows = truth(x, general)
    torch.testing.assert_close(layout.gram(x), gram)
    torch.testing.assert_close(layout.expand(x), rows)
    assert layout.shared(x) == rows.shape[2]


@pytest.mark.parametrize("name", MIXED)
def test_positions_one_by_one(name, monkeypatch, float64):
    monkeypatch.setattr(patches, "FEW", 10**6)
    x = torch.randn(3, 4, 5, 7)
    torch.testing.assert_close(MIXED[name].gram(x), truth(x, MIXED[name])[0])


def test_positions_have_the_taps_inside():
    """Patches that are partly or wholly outside, beside windows of a padded line."""
    found = spans(4, 3, 2, 1, (1, 1))
    assert found == [(slice(1, 3), slice(0, 2, 1)), (slice(0, 3), slice(1, 4, 1))]
    for size, kernel, stride, dilation, pad in itertools.product(
        (1, 3, 4), (1, 2, 3), (1, 2), (1, 2, 3), ((0, 0), (4, 1), (1, 5))
    ):
        if size + sum(pad) > dilation * (kernel - 1):
            line = functional.pad(torch.arange(1, size + 1), pad)
            rows = line.unfold(0, dilation * (kernel - 1) + 1, stride)[:, ::dilation]
            inside = [row[row > 0].tolist() for row in rows if row.any()]
            taps = [row.nonzero().flatten().tolist() for row in rows if row.any()]
            found = spans(size, kernel, stride, dilation, pad)
            assert [list(range(size))[at] for _, at in found] == [
                [i - 1 for i in r] for r in inside
            ]
            assert [list(range(kernel))[tap] for tap, _ in found] == taps


FAST = {
    "lines": MIXED["rows dilated"],
    "lines, stride 2": MIXED["circular"],
    "plane": PlanePatches(),
    "torus": TorusPatches(3),
    "positions": Patches((3, 3), (3, 4), (1, 1), (1, 1, 1, 1), "constant"),
    "convolution of groups": Patches((3, 2), (2, 1), (1, 2), (1, 1, 2, 0), "reflect", 2),
}


@pytest.mark.parametrize("name", FAST)
def test_any_memory_format(name, float64):
    layout, x = FAST[name], torch.randn(2, 4, 5, 6)
    gram = layout.gram(x)
    last = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(layout.gram(last), gram)
    swapped = x.transpose(2, 3).contiguous().transpose(2, 3)
    torch.testing.assert_close(layout.gram(swapped), gram)
    part = torch.randn(2, 4, 5, 9)
    part[..., 2:8] = x
    torch.testing.assert_close(layout.gram(part[..., 2:8]), gram)
    assert torch.equal(part[..., 2:8], x)


@pytest.mark.parametrize("name", FAST)
def test_small_pixels_beside_large_ones_in_single_precision(name):
    """A border far larger than the rest is where sums of differences would lose digits."""
    for height in (50.0, 1e4):
        x = torch.randn(8, 4, 6, 6)
        x[:, :, 0] += height
        exact = FAST[name].gram(x.double())
        found = FAST[name].gram(x).double()
        sides = exact.diagonal(dim1=1, dim2=2).sqrt()
        scale = sides[:, :, None] * sides[:, None]  # each entry beside its own two features
        assert ((found - exact).abs() / scale).max() < 1e-5


@pytest.mark.parametrize("name", FAST)
def test_differentiable_twice(name, float64):
    """The evidence is differentiated through Grams of gradients, too."""
    x = torch.randn(1, 2, 3, 4, requires_grad=True)
    assert torch.autograd.gradcheck(FAST[name].gram, x, fast_mode=True)
    assert torch.autograd.gradgradcheck(FAST[name].gram, x, fast_mode=True)


WAYS = {  # DATA, WIDE, FEW_CHANNELS
    "strips of one position": (10**6, 10**6, 0),
    "strips of some positions": (40, 10**6, 0),
    "one strip": (1, 10**6, 0),
    "pairs": (1, 0, 0),
    "convolution": (1, 0, 100),
}


@pytest.mark.parametrize("way", WAYS)
def test_first_taps_by_every_way(way, monkeypatch, float64):
    data, wide, few = WAYS[way]
    monkeypatch.setattr(first_taps, "DATA", data)
    monkeypatch.setattr(lines, "WIDE", wide)
    monkeypatch.setattr(lines, "FEW_CHANNELS", few)
    monkeypatch.setattr(lines, "FEW_TAPS", few)
    for rank, rows, (kernel, stride, dilation) in itertools.product((1, 2), (1, 7, 8), TAPS):
        grid = (rows, 9)[:rank]
        if dilation * (kernel - 1) < rows:
            each = [(k,) * rank for k in (kernel, stride, dilation)]
            x = torch.randn(2, 4, *grid)
            gram, _ = truth(x, Patches(*each, (0,) * 2 * rank, "constant", 2))
            torch.testing.assert_close(patch_gram(x, *each, 2), gram)


def test_ordinary_images_are_not_summed_twice(monkeypatch):
    monkeypatch.setattr(patches, "_square", None)  # the way of a border far brighter than the rest
    PlanePatches().gram(torch.randn(2, 4, 5, 6))


def test_one_line_without_columns():
    x = torch.arange(6.0).view(1, 1, 6)
    assert patch_gram(x, [2], [1], [1]).tolist() == [[[30.0, 40.0], [40.0, 55.0]]]


def test_layers_get_the_cheapest_layout():
    def kind(**options):
        layer = nn.Conv2d(2, 2, **options)
        return type(module_sites(layer)["weight"].inputs)

    assert kind(kernel_size=3, padding=1) is PlanePatches
    assert kind(kernel_size=3, padding="same") is PlanePatches
    assert kind(kernel_size=3, padding=1, padding_mode="circular") is TorusPatches
    assert kind(kernel_size=5, padding=2, padding_mode="circular") is TorusPatches
    for options in (
        {"kernel_size": 3},
        {"kernel_size": 5, "padding": 2},
        {"kernel_size": 3, "padding": 1, "stride": 2},
        {"kernel_size": 3, "padding": 2, "dilation": 2},
        {"kernel_size": 3, "padding": 1, "groups": 2},
        {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"},
        {"kernel_size": 2, "padding": 1, "padding_mode": "circular"},
    ):
        assert kind(**options) is Patches
