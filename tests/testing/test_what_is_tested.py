"""What equivariance_error tries: far shifts, all data, compositions; and what it leaves alone."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import relaxeq as rq
from relaxeq import groups
from relaxeq.errors import EquivarianceError, GroupError, RelaxeqError, SpecError
from relaxeq.layers import polyphase
from relaxeq.testing import Action, Vectors, assert_equivariant, equivariance_error
from relaxeq.testing.elements import far_shifts, probing_elements

Z2 = groups.Z2()
P4M = groups.planar("p4m")
S3, S5, S6 = (groups.symmetric(n) for n in (3, 5, 6))
GRID = rq.Field(Z2, 1, (8, 8))


class Function(nn.Module):
    """Inside networks: a function of x."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def spread(mask: Tensor) -> Callable[[Tensor], Tensor]:
    """The mean over the grid, which no shift moves, times a mask that every shift moves."""
    return lambda x: x.mean((2, 3), keepdim=True) * mask.to(x)


VIGNETTE = torch.ones(4, 4)
VIGNETTE[1:3, 1:3] = 0
MASKS = {
    "a frame": (P4M, (16, 16), VIGNETTE),
    "rows": (Z2, (16, 16), torch.arange(8.0)[:, None].expand(8, 8)),
    "columns": (Z2, (8, 16), torch.arange(8.0)[None, :].expand(8, 8)),
    "two pixels": (Z2, (16, 16), torch.arange(2.0)[:, None].expand(2, 2)),
}


@pytest.mark.parametrize("name", MASKS)
def test_a_mask_on_a_coarse_grid_is_found(name: str) -> None:
    group, size, mask = MASKS[name]
    source = rq.Field(group, 1, size, rep="trivial")
    target = source.resized((mask.shape[0], mask.shape[1]))
    report = equivariance_error(spread(mask), source, target)
    assert float(report) == pytest.approx(1.0)


def test_far_shifts_arrive_as_whole_pixels() -> None:
    def shifts(size: tuple[int, int], end: tuple[int, ...]) -> set[tuple[float, float]]:
        found = far_shifts(Z2, torch.zeros(1, 1, *size), torch.zeros(1, 1, *end))
        return {a.shift for a in found if isinstance(a, groups.PlanarElement)}

    assert shifts((16, 16), (4, 4)) == {(4, 0), (0, 4), (4, 5)}
    assert shifts((16, 12), (8, 4)) == {(2, 0), (0, 3), (2, 4)}
    assert shifts((8, 8), (8, 8)) == {(1, 0), (0, 1), (1, 2)}, "those of the group alone"
    assert shifts((8, 8), (16, 16)) == {(1, 0), (0, 1), (1, 2)}
    assert shifts((32, 32), ()) == {(16, 0), (0, 16), (16, 17), (8, 0), (0, 8), (8, 9)}
    assert shifts((32, 32), (1, 1)) == shifts((32, 32), ())


def strided(seed: int, *head: nn.Module) -> nn.Module:
    """Three layers with stride 2 from 16×16 to 2×2, which keep shifts."""
    torch.manual_seed(seed)
    fields = [rq.Field(Z2, 2, (16 // 2**k, 16 // 2**k)) for k in range(4)]
    layers = [rq.RelaxedLayer(fields[k], fields[k + 1], "CONV", stride=2) for k in range(3)]
    return nn.Sequential(*layers, *head).double()


@pytest.mark.parametrize("seed", [6, 10, 11])  # those whose features unit shifts leave in place
def test_logits_that_read_positions_behind_strides_are_found(seed: int) -> None:
    image = rq.Field(Z2, 2, (16, 16))
    reading = strided(seed, nn.Flatten(), nn.Linear(8, 3, dtype=torch.float64))
    assert float(equivariance_error(reading, image)) > 1e-6
    pooled = strided(seed, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3))
    assert_equivariant(pooled, image)
    assert_equivariant(strided(seed), image, image.resized((2, 2)))


def broadcast(x: Tensor) -> Tensor:
    x[..., 1:] = x[..., :1]
    return x


def normalised(x: Tensor) -> Tensor:
    x -= 0.5
    x /= 0.25
    return x


def test_modules_may_write_into_their_input() -> None:
    x = GRID.random(4)
    before = x.clone()
    assert_equivariant(normalised, GRID, GRID, x=x)
    with pytest.raises(EquivarianceError, match="broadcast does not satisfy"):
        assert_equivariant(broadcast, GRID, GRID, x=x)
    assert torch.equal(x, before)
    report = equivariance_error(nn.Sequential(Function(normalised), Function(broadcast)), GRID)
    assert report.fault == "1"


def test_modules_may_return_a_tensor_that_they_write_again() -> None:
    kept = torch.zeros(4, 1)

    def corner(x: Tensor) -> Tensor:
        return kept.copy_(x[:, :, 0, 0])

    assert float(equivariance_error(corner, GRID)) > 0.1


def test_every_datum_is_moved_by_every_element() -> None:
    def clipped(x: Tensor) -> Tensor:
        y = x.clone()
        y[:, :, 0] = y[:, :, 0].clamp(-10, 10)
        return y

    good = GRID.random(1)
    bad = good.clone()
    bad[0, 0, 7, 0] = 50.0  # clipped when it comes to the first row
    for x in (torch.cat([bad, good]), torch.cat([good, bad]), bad):
        report = equivariance_error(clipped, GRID, GRID, elements=Z2.element((1, 0)), x=x)
        assert float(report) == pytest.approx(0.8)
        assert len(report.errors) == 1
        inside = nn.Sequential(nn.Identity(), Function(clipped))
        assert equivariance_error(inside, GRID, GRID, elements=Z2.element((1, 0)), x=x).fault == "1"


def test_large_groups_are_sampled_beside_their_generators() -> None:
    x = torch.zeros(1, 6)
    whole = S6.subgroup(S6.generators)
    for group in (S6, whole):
        found = probing_elements(group, x)
        assert len(found) == len(set(found)) == 60
        assert set(S6.generators) < set(found)
        assert found == probing_elements(group, x), "the same on every run"
    assert probing_elements(S3, x) == S3.elements

    def rare(x: Tensor) -> Tensor:
        odd = ((x.argmax(1) == 0) & (x.argmin(1) == 5))[:, None]
        return torch.where(odd, x * torch.arange(6), x)

    points = Vectors(S6.natural, 1)
    x = torch.tensor([[0.1, 0.2, 1.0, -1.0, 0.3, 0.4]]).expand(4, 6)  # no swap of neighbours is odd
    assert equivariance_error(rare, points, points, elements=S6.generators, x=x).equivariant
    assert not equivariance_error(rare, points, points, x=x).equivariant


class Force(nn.Module):
    """−∂E/∂x of E(x) = Σ tanh(filtered x)."""

    def __init__(self, padding_mode: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1, padding_mode=padding_mode)

    def forward(self, x: Tensor) -> Tensor:
        x.requires_grad_()
        return -torch.autograd.grad(self.conv(x).tanh().sum(), x, create_graph=True)[0]


def squared(x: Tensor) -> Tensor:
    """The gradient of Σ x²·ramp, of an x whose gradients were switched on before."""
    energy = (x.square() * torch.arange(8)).sum()
    return torch.autograd.grad(energy, x, create_graph=True)[0]


def test_modules_may_take_gradients(float64: torch.dtype) -> None:
    assert_equivariant(Force("circular"), GRID, GRID)
    report = equivariance_error(Force("zeros"), GRID, GRID)
    assert report.fault == "conv"
    inside = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(inplace=True), Function(squared))
    assert equivariance_error(inside, GRID, GRID).fault == "2"


def test_the_users_grad_mode_holds() -> None:
    seen: list[tuple[bool, bool]] = []

    def look(x: Tensor) -> Tensor:
        seen.append((torch.is_grad_enabled(), x.requires_grad))
        return x

    with torch.no_grad():
        assert_equivariant(look, GRID, GRID, x=GRID.random(2).requires_grad_())
    assert set(seen) == {(False, False)}


def state(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("fault", [nn.Identity(), nn.ZeroPad2d((1, -1, 0, 0)), nn.Dropout(0.5)])
def test_buffers_are_as_they_were(fault: nn.Module) -> None:
    net = nn.Sequential(nn.BatchNorm2d(1), fault)
    buffers, before = list(net.buffers()), state(net)
    if isinstance(fault, nn.Dropout):
        with pytest.raises(SpecError, match="two answers"):
            equivariance_error(net, GRID, GRID)
    else:
        chance = torch.get_rng_state()
        equivariance_error(net, GRID, GRID)
        assert torch.equal(torch.get_rng_state(), chance)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(a is b for a, b in zip(buffers, net.buffers(), strict=True))


def test_buffers_that_are_replaced_return_and_equal_ones_are_not_written() -> None:
    class Noting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("last", torch.zeros(1))
            self.register_buffer("scale", torch.ones(1, requires_grad=False))

        def forward(self, x: Tensor) -> Tensor:
            self.last = x.mean().detach()
            return x * self.scale

    net = Noting()
    first, version = net.last, net.scale._version
    assert_equivariant(net, GRID, GRID)
    assert net.last is first
    assert net.scale._version == version


def test_a_subgroup_may_be_meant_on_vectors() -> None:
    points = Vectors(S3.natural, 1)
    turns = S3.subgroup([g for g in S3.elements if g @ g @ g == S3.identity])

    def shifted(x: Tensor) -> Tensor:
        return x.roll(1, 1)

    for group in ("C3", groups.cyclic(3), turns, turns.group):
        report = equivariance_error(shifted, points, points, group=group)
        assert [found.element.index for found in report.errors] == list(turns.embedding)
        assert report.equivariant
    assert not equivariance_error(shifted, points, points, group="S3").equivariant


class OnPairs(Action):
    """a·x for features x[n, i, j, c] of pairs of points."""

    def act(self, element: Any, x: Tensor) -> Tensor:
        rho = torch.as_tensor(S5.natural(element)).to(x)
        return torch.einsum("ij,kl,njlc->nikc", rho, rho, x)


class OnPoints(Action):
    """a·x for features x[n, i, c] of points."""

    def act(self, element: Any, x: Tensor) -> Tensor:
        return torch.einsum("ij,njc->nic", torch.as_tensor(S5.natural(element)).to(x), x)


def test_features_with_four_axes_need_not_be_grids(float64: torch.dtype) -> None:
    x = torch.randn(4, 5, 5, 3)
    assert_equivariant(nn.Linear(3, 2), OnPairs(), OnPairs(), group=S5, x=x)
    assert_equivariant(lambda pairs: pairs.mean(2), OnPairs(), OnPoints(), group=S5, x=x)
    numbered = Function(lambda pairs: pairs * torch.arange(5.0).view(5, 1, 1))
    report = equivariance_error(
        nn.Sequential(nn.Linear(3, 2), numbered), OnPairs(), OnPairs(), group=S5, x=x
    )
    assert report.fault == ""
    assert "could not be looked into (2 of 2): '0' (Linear)" in report.verdict
    assert "no action of S5 is known" in report.verdict


def test_children_that_cannot_be_followed_are_named(float64: torch.dtype) -> None:
    first = Function(lambda points: points + points[:, :1, :1])
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), first)
    report = equivariance_error(net, OnPoints(), OnPoints(), group=S5, x=torch.randn(4, 5, 4))
    assert report.fault == ""
    assert [child.name for child in report.unseen] == ["0", "1", "2"]
    assert report.verdict == (
        "The fault is in Sequential itself, or in a child that could not be looked into (3 of 3): "
        "'0' (Linear), which takes (4, 5, 4), not (batch, channels) or (batch, channels, rows, "
        "columns)."
    )
    sheets = nn.Sequential(nn.Flatten(), nn.Unflatten(1, (8, 8)), nn.Flatten(), nn.Linear(64, 2))
    shapes = [child.why for child in equivariance_error(sheets, GRID).unseen]
    assert shapes[0].startswith("which gives (4, 8, 8), not")


def test_outputs_of_zero_are_reported() -> None:
    dead = Function(lambda x: (x.roll(1, 2) * torch.arange(8) - 100).relu())
    report = equivariance_error(dead, GRID, GRID)
    assert report.equivariant
    assert report.size == 0
    assert "but f(x) = 0 for all data" in report.verdict
    assert report.verdict in str(report)
    alive = equivariance_error(nn.Identity(), GRID, GRID, x=torch.ones(2, 1, 8, 8))
    assert alive.size == 1
    assert "but" not in str(alive)


REFUSED: dict[str, tuple[Callable[[], object], type[RelaxeqError], str]] = {
    "meta": (
        lambda: equivariance_error(nn.Conv2d(1, 1, 1).to("meta"), GRID, GRID),
        SpecError,
        r"module is on 'meta', .* write module\.to_empty\(device='cpu'\)",
    ),
    "meta, with buffers": (
        lambda: equivariance_error(nn.BatchNorm2d(1, device="meta"), GRID, GRID),
        SpecError,
        "module is on 'meta'",
    ),
    "a subgroup of many places": (
        lambda: equivariance_error(
            nn.Identity(), Vectors(S6.natural, 1), None, group=groups.cyclic(3)
        ),
        GroupError,
        "C3 fits in 40 ways into S6",
    ),
    "a subgroup of a Lie group": (
        lambda: equivariance_error(
            nn.Identity(), Vectors(groups.O2().natural, 1), None, group=groups.SO2()
        ),
        GroupError,
        "subgroups of O2 are not listed",
    ),
    "no group at all": (
        lambda: equivariance_error(nn.Identity(), OnPoints(), None, group=3, x=torch.ones(2, 5, 1)),
        GroupError,
        "group=3 is no group whose elements are known",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_allows_no_conclusion_is_refused(name: str, unchecked: None) -> None:
    call, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        call()


def test_polyphase_keeps_far_shifts(float64: torch.dtype) -> None:
    halved = GRID.resized((4, 4))
    shifts = [Z2.element(shift) for shift in ((2, 0), (0, 6), (4, 5), (7, 3))]
    assert_equivariant(polyphase, GRID, halved, elements=shifts)
