"""Every layout: its Gram against an outer product per feature vector, its S against `expand`."""

import itertools

import pytest
import torch
from torch.nn import functional

from relaxeq.errors import SiteError
from relaxeq.sites import (
    Explicit,
    Ones,
    Patches,
    Projected,
    Rearranged,
    Summed,
    TorusPatches,
    gram_of,
)

pytestmark = pytest.mark.usefixtures("float64")

PHI = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]], dtype=torch.float64)
LAYOUTS = {
    "flat": (Rearranged("n ... -> n 1 1 (...)"), (4, 2, 3)),
    "blocks": (Rearranged("n c ... -> n c 1 (...)"), (4, 2, 3)),
    "positions": (Rearranged("n o h w -> n 1 (h w) o"), (2, 3, 2, 2)),
    "split axis": (Rearranged("n (b o) p -> n b p o", (("b", 2),)), (3, 4, 5)),
    "summed": (Summed("n c ... -> n 1 1 c"), (3, 2, 4, 2)),
    "summed over orientations": (Summed("n (c k) h w -> n 1 1 c", (("k", 2),)), (3, 4, 2, 2)),
    "ones": (Ones(), (5, 2, 3)),
    "explicit": (Explicit(lambda x: x.square().reshape(len(x), 2, 3, -1)), (4, 6, 2)),
    "projected": (Projected(Rearranged("n p i -> n 1 p i"), PHI), (4, 2, 3)),
    "projected blocks": (Projected(Rearranged("n b p i -> n b p i"), PHI), (4, 2, 5, 3)),
    "projected in float32": (
        Projected(Rearranged("n p i -> n 1 p i"), PHI.float()),
        (4, 2, 3),
    ),
    "patches": (Patches((2, 3), (1, 2), (1, 1), (0, 1, 1, 0), "constant"), (3, 2, 4, 5)),
    "patches by groups": (Patches((2,), (1,), (2,), (1, 1), "circular", 2), (3, 4, 5)),
    "torus 1": (TorusPatches(1), (2, 3, 2, 4)),
    "torus 3": (TorusPatches(3), (2, 3, 3, 4)),
    "torus 3 on 2×2": (TorusPatches(3), (2, 3, 2, 2)),
    "torus 5 on 2×3": (TorusPatches(5), (2, 2, 2, 3)),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_gram_is_the_sum_of_outer_products(name):
    layout, shape = LAYOUTS[name]
    x = torch.randn(*shape)
    expanded = layout.expand(x)
    data, blocks, shared, features = expanded.shape
    truth = torch.zeros(blocks, features, features)
    for n, b, s in itertools.product(range(data), range(blocks), range(shared)):
        v = expanded[n, b, s]
        truth[b] += v[:, None] * v[None, :]
    torch.testing.assert_close(layout.gram(x), truth)
    torch.testing.assert_close(gram_of(expanded), truth)
    assert layout.shared(x) == shared
    assert data == len(x)


@pytest.mark.parametrize("name", LAYOUTS)
def test_data_are_read_one_by_one(name):
    layout, shape = LAYOUTS[name]
    x = torch.randn(*shape)
    each = torch.cat([layout.expand(datum[None]) for datum in x])
    torch.testing.assert_close(layout.expand(x), each)


@pytest.mark.parametrize("name", LAYOUTS)
def test_dtype_follows_the_tensor(name):
    layout, shape = LAYOUTS[name]
    x = torch.randn(*shape)
    single = layout.gram(x.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), layout.gram(x), rtol=1e-4, atol=1e-4)


def test_explicit_sums():
    x = torch.randn(2, 3, 4)
    torch.testing.assert_close(Summed("n c p -> n 1 1 c").expand(x)[:, 0, 0], x.sum(2))
    assert Ones().expand(x).shape == (2, 1, 1, 1)
    flat = Rearranged("n ... -> n 1 1 (...)").expand(x)
    torch.testing.assert_close(flat[:, 0, 0], x.flatten(1))


def test_projection_multiplies_features():
    x = torch.randn(4, 2, 3)
    found = Projected(Rearranged("n p i -> n 1 p i"), PHI).expand(x)
    for n, p in itertools.product(range(4), range(2)):
        torch.testing.assert_close(found[n, 0, p], PHI @ x[n, p])


@pytest.mark.parametrize("kind", [Rearranged, Summed])
def test_patterns_that_do_not_fit(kind):
    layout = kind("n c h w -> n 1 1 c")
    with pytest.raises(SiteError, match=r"layout 'n c h w -> n 1 1 c' does not fit.*\(2, 3\)"):
        layout.expand(torch.randn(2, 3))


def test_layouts_are_values():
    assert Rearranged("n i -> n 1 1 i") == Rearranged("n i -> n 1 1 i")
    assert hash(Patches((3,), (1,), (1,), (1, 1), "circular")) == hash(
        Patches((3,), (1,), (1,), (1, 1), "circular")
    )
    assert TorusPatches(3) != TorusPatches(5)
    assert functional.relu not in (Ones(), TorusPatches(1))
