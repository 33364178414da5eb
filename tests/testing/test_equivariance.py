"""equivariance_error and assert_equivariant: what they report, and what they refuse."""

import dataclasses
import math
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import relaxeq as rq
from relaxeq import groups
from relaxeq.errors import (
    EquivarianceError,
    GroupError,
    NumericsError,
    RelaxeqError,
    ShapeError,
    SpecError,
)
from relaxeq.testing import Vectors, assert_equivariant, equivariance_error
from relaxeq.testing.elements import probing_elements
from relaxeq.testing.report import ElementError, ModuleErrors, first_fault

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # notes on optional packages, and on torch.jit
    from escnn import gspaces
    from escnn import nn as enn

P4 = groups.planar("p4")
IMAGE = rq.Field(P4, 2, (4, 4), rep="trivial")
HIDDEN = rq.Field(P4, 2, (4, 4))


def test_the_error_is_the_largest_over_data_and_entries(float64: torch.dtype) -> None:
    layer = rq.RelaxedLayer(HIDDEN, HIDDEN, "CONV")
    x = HIDDEN.random(2)
    a = P4.element((1, 2), 1)
    y, ax, ay = layer(x), HIDDEN.act(a, x), HIDDEN.act(a, layer(x))
    differences = [  # one datum is moved and the other left alone, then the other way round
        layer(torch.stack([x[0], ax[1]])) - torch.stack([y[0], ay[1]]),
        layer(torch.stack([ax[0], x[1]])) - torch.stack([ay[0], y[1]]),
    ]
    error = (torch.stack(differences).abs().max() / y.abs().max()).detach()
    report = equivariance_error(layer, HIDDEN, HIDDEN, elements=[a], x=x)
    assert [found.element for found in report.errors] == [a]
    assert float(report) == report.worst.error == pytest.approx(float(error), rel=1e-12)
    assert float(report) > 0.1


def test_every_element_of_the_point_group_is_tried_with_a_shift() -> None:
    for name, count in (("Z2", 3), ("p4", 7), ("p4m", 12)):
        group = groups.planar(name)
        found = probing_elements(group, torch.zeros(1, 1, 4, 4))
        assert set(group.generators((4, 4))) < set(found)
        assert {a.point for a in found if a.shift == (1, 2)} == set(group.point_group.elements)
        assert len(found) == len(set(found)) == count


def test_a_group_may_be_given_as_text_value_or_subgroup(float64: torch.dtype) -> None:
    conv = rq.RelaxedLayer(HIDDEN, HIDDEN, "CONV")
    half = P4.point_group.subgroup([2])
    for group in (groups.Z2(), "Z2", groups.p1()):
        assert_equivariant(conv, HIDDEN, HIDDEN, group=group)
    for group in (None, P4, "p4", groups.p4(), half, "p2"):
        with pytest.raises(EquivarianceError, match=r"paths\.CONV"):
            assert_equivariant(conv, HIDDEN, HIDDEN, group=group)


def test_features_of_a_smaller_group_are_tested_under_a_larger_one() -> None:
    image = rq.Field(groups.Z2(), 3, (4, 4), rep="trivial")
    pool = nn.AvgPool2d(4)
    assert_equivariant(pool, image, image.resized((1, 1)), group="p4m")
    with pytest.raises(GroupError, match="test with a subgroup"):
        assert_equivariant(pool, rq.Field(P4, 1, (4, 4)), None, group="p4m")


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-10), (torch.float32, 1e-4), (torch.bfloat16, 3e-2)],
    ids=str,
)
def test_tolerance_and_features_follow_the_module(dtype: torch.dtype, tolerance: float) -> None:
    layer = rq.RelaxedLayer(IMAGE, HIDDEN, "GCONV").to(dtype)
    report = equivariance_error(layer, IMAGE, HIDDEN)
    assert report.tolerance == tolerance
    assert report.equivariant
    assert report.fault is None
    assert report.modules == ()
    assert "is equivariant within" in report.verdict
    assert equivariance_error(layer, IMAGE, HIDDEN, tolerance=0.5).tolerance == 0.5


def test_a_stack_with_strides_is_equivariant_and_its_logits_invariant(float64: torch.dtype) -> None:
    net = rq.models.PaperNet("F-FC+CONV+GCONV", alpha=1, size=(8, 8), group=P4)
    image = rq.Field(P4, 3, (8, 8), rep="trivial")
    report = equivariance_error(net, image)
    assert report.fault == "layers.0.paths.F-FC"
    names = {entry.name for entry in report.modules}
    assert {"layers.0", "layers.5.paths.CONV", "head"} < names
    assert not any("." in name.partition(".paths.")[2] for name in names), "a path is one module"
    for layer in net.layers:
        for name in ("F-FC", "CONV"):
            layer.paths[name].prior_variance = 0.0
    assert_equivariant(net, image)
    assert_equivariant(nn.Sequential(*net.layers[1:3]), net.layers[1].source, net.layers[2].target)


def test_the_report_reads_well(float64: torch.dtype) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lift = rq.RelaxedLayer(IMAGE, HIDDEN, "GCONV")
            self.mix = nn.Conv2d(8, 3, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return self.mix(self.lift(x).relu()).mean((2, 3))

    report = equivariance_error(Net(), IMAGE)
    text = str(report)
    assert text.startswith("Net: worst relative error ")
    assert "  mix (Conv2d): " in text
    assert "at fault\n" in text
    assert report.verdict.startswith("First module at fault: 'mix' (Conv2d, error ")
    assert report.verdict.endswith("write padding_mode='circular'.")
    assert report.culprit is not None
    assert report.culprit.carries == "regular → trivial"
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.fault = "lift"  # type: ignore[misc]


def test_a_fault_outside_the_children_is_that_of_the_whole(float64: torch.dtype) -> None:
    class Ramp(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lift = rq.RelaxedLayer(IMAGE, HIDDEN, "GCONV")

        def forward(self, x: Tensor) -> Tensor:
            return self.lift(x) * torch.linspace(0, 1, 4)

    report = equivariance_error(Ramp(), IMAGE, HIDDEN)
    assert report.fault == ""
    assert report.culprit is None
    assert report.verdict == "The fault is in Ramp itself, outside its children."
    nested = nn.Sequential(nn.Sequential(nn.Identity(), Ramp()), nn.ReLU())
    assert equivariance_error(nested, IMAGE, HIDDEN).fault == "0.1"
    alone = equivariance_error(nn.ZeroPad2d((1, -1, 0, 0)), IMAGE, IMAGE, x=IMAGE.random(2))
    assert alone.verdict == "The fault is in ZeroPad2d itself, which has no children to look into."


def entry(name: str, error: float) -> ModuleErrors:
    return ModuleErrors(name, "", "", (ElementError(P4.identity, error),))


@pytest.mark.parametrize(
    ("errors", "fault"),
    [
        ({"a": 0, "b": 1}, "b"),
        ({"b": 1, "a": 1}, "b"),  # the first in the order of calls
        ({"a": 1, "a.x": 0, "a.y": 1}, "a.y"),
        ({"a": 1, "a.x": 0}, "a"),
        ({"a": 0, "a.x": 1, "b": 1}, "b"),  # a mends what a.x breaks
        ({"a": 0, "a.x": 1}, ""),
        ({"a.x": 0, "a.y": 1, "b": 1}, "a.y"),  # a itself could not be followed
        ({"a": 1, "ab.x": 1, "a.b.c": 1}, "a.b.c"),
        ({"a": math.inf}, "a"),
        ({}, ""),
    ],
)
def test_descent_to_the_module_at_fault(errors: dict[str, float], fault: str) -> None:
    entries = tuple(entry(name, float(error)) for name, error in errors.items())
    assert first_fault(entries, 0.5) == fault


def test_modules_called_twice_in_place_or_with_two_inputs(float64: torch.dtype) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = rq.RelaxedLayer(HIDDEN, HIDDEN, "GCONV")
            self.relu = nn.ReLU(inplace=True)
            self.gate = nn.Bilinear(8, 8, 3)

        def forward(self, x: Tensor) -> Tensor:
            once = self.conv(x)
            again = self.conv(self.relu(once))
            return self.gate(again.mean((2, 3)), once.amax((2, 3)))

    report = equivariance_error(Twice(), HIDDEN)
    assert report.fault == "gate"
    names = [entry.name for entry in report.modules]
    assert [name for name in names if "." not in name] == ["conv", "relu", "gate"]
    assert "conv.paths.GCONV" in names
    assert all(e.worst.error < 1e-10 for e in report.modules[:-1])


def test_the_worse_of_two_calls_counts(float64: torch.dtype) -> None:
    class Ramp(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * torch.linspace(0, 1, 4)

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.ramp = Ramp()

        def forward(self, x: Tensor) -> Tensor:
            return self.ramp(x) + self.ramp(torch.zeros_like(x))

    report = equivariance_error(Twice(), IMAGE, IMAGE)
    assert report.fault == "ramp"
    assert report.culprit is not None
    assert report.culprit.worst.error > 0.1


def test_vectors_of_any_group(float64: torch.dtype) -> None:
    s3 = groups.symmetric(3)
    rho = s3.regular + s3.trivial
    basis = torch.tensor(groups.equivariant_basis(rho, rho))
    weight = torch.einsum("k,kij->ij", torch.randn(len(basis)), basis)
    linear = nn.Linear(7, 7, bias=False)
    linear.weight.data = weight
    assert_equivariant(linear, Vectors(rho, 1), Vectors(rho, 1))
    assert_equivariant(
        nn.Sequential(linear, nn.Tanh(), nn.Linear(7, 7)), Vectors(rho, 1), group=s3.subgroup([])
    )
    free = nn.Sequential(linear, nn.Tanh(), nn.Linear(7, 7), nn.Tanh())
    report = equivariance_error(free, Vectors(rho, 1), Vectors(rho, 1))
    assert report.fault == "2"
    cyclic = s3.subgroup([g for g in s3.elements if (g @ g @ g) == s3.identity])
    assert {
        a.error
        for a in equivariance_error(free, Vectors(rho, 1), Vectors(rho, 1), group=cyclic).errors
    }
    assert (
        len(equivariance_error(linear, Vectors(rho, 1), Vectors(rho, 1), group=cyclic).errors) == 3
    )


def test_vectors_of_a_lie_group(float64: torch.dtype) -> None:
    rho = groups.SO3().natural

    class Cross(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.linalg.cross(x[:, :3], x[:, 3:])

    assert_equivariant(Cross(), Vectors(rho, 2), Vectors(rho, 1), x=Vectors(rho, 2).random(4))
    mirrored = groups.O3().natural
    with pytest.raises(EquivarianceError, match="Cross does not satisfy"):
        assert_equivariant(Cross(), Vectors(mirrored, 2), Vectors(mirrored, 1))


SPACES = {
    "p4": lambda: gspaces.rot2dOnR2(4),
    "p4m": lambda: gspaces.flipRot2dOnR2(4),
    "pm": gspaces.flip2dOnR2,
}


@pytest.mark.parametrize("name", SPACES)
def test_escnn_modules_pass_and_fail_as_they_should(name: str) -> None:
    space = SPACES[name]()
    scalar = enn.FieldType(space, [space.trivial_repr] * 2)
    regular = enn.FieldType(space, [space.regular_repr] * 2)
    vector = enn.FieldType(space, [space.irrep(*space.fibergroup.irreps()[-1].id)] * 2)

    def conv(source: enn.FieldType, target: enn.FieldType, mode: str = "circular") -> enn.R2Conv:
        return enn.R2Conv(source, target, 3, padding=1, padding_mode=mode)

    good = enn.SequentialModule(
        conv(scalar, regular), enn.ReLU(regular), conv(regular, vector)
    ).eval()
    image = rq.Field(groups.planar(name), 2, (5, 5), rep="trivial")
    x = image.random(4)
    assert_equivariant(good, image, vector)
    assert_equivariant(good, scalar, vector, group=name, x=x)
    bad = enn.SequentialModule(
        conv(scalar, regular), enn.ReLU(regular), conv(regular, vector, "zeros")
    )
    report = equivariance_error(bad.eval(), image, vector)
    assert report.fault == "2"
    assert report.culprit is not None
    assert report.culprit.kind == "R2Conv"


def test_escnn_inside_a_network_of_tensors_is_named() -> None:
    space = gspaces.rot2dOnR2(4)
    scalar = enn.FieldType(space, [space.trivial_repr] * 2)
    regular = enn.FieldType(space, [space.regular_repr] * 2)

    class Net(nn.Module):
        def __init__(self, pool: nn.Module) -> None:
            super().__init__()
            self.conv = enn.R2Conv(scalar, regular, 3, padding=1, padding_mode="circular")
            self.relu = enn.ReLU(regular, inplace=True)
            self.pool = pool

        def forward(self, x: Tensor) -> Tensor:
            return self.pool(self.relu(self.conv(scalar(x)))).tensor.mean((2, 3)).square()

    good = enn.PointwiseAvgPool2D(regular, 1)
    image = rq.Field(P4, 2, (6, 6), rep="trivial")
    report = equivariance_error(Net(good), image, None, group="Z2")
    assert report.equivariant
    bad = enn.PointwiseMaxPool2D(regular, 2)
    report = equivariance_error(Net(bad), image, None, group="Z2")
    assert report.fault == "pool"
    outer = [entry for entry in report.modules if "." not in entry.name]
    assert [entry.name for entry in outer] == ["conv", "relu", "pool"]
    assert {entry.carries for entry in outer} == {"escnn type → escnn type"}


class Cut(nn.Module):
    """What a bad module may return."""

    def __init__(self, change: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.change = change

    def forward(self, x: Tensor) -> object:
        return self.change(x)


REFUSED: dict[str, tuple[Callable[[], object], type[RelaxeqError], str]] = {
    "dropout": (
        lambda: assert_equivariant(nn.Dropout(0.5), IMAGE, IMAGE),
        SpecError,
        r"module gives two answers for one x.*Write module.eval\(\) first",
    ),
    "nan": (
        lambda: assert_equivariant(Cut(lambda x: x / 0), IMAGE, IMAGE),
        NumericsError,
        r"module\(x\) holds NaN or infinity",
    ),
    "tuple": (
        lambda: assert_equivariant(Cut(lambda x: (x, x)), IMAGE, IMAGE),
        ShapeError,
        "module=Cut must return one floating tensor with the batch of 4 first",
    ),
    "batch": (
        lambda: assert_equivariant(Cut(lambda x: x[:2]), IMAGE, IMAGE),
        ShapeError,
        "batch of 4 first",
    ),
    "other shape": (
        lambda: assert_equivariant(nn.Identity(), IMAGE, HIDDEN),
        ShapeError,
        r"module\(x\) must have shape \(batch, 8, 4, 4\)",
    ),
    "features": (
        lambda: assert_equivariant(nn.Identity(), IMAGE, IMAGE, x=torch.zeros(2, 3, 4, 4)),
        ShapeError,
        r"x must have shape \(batch, 2, 4, 4\)",
    ),
    "no field": (
        lambda: assert_equivariant(nn.Identity(), (2, 4, 4)),
        SpecError,
        r"field=\(2, 4, 4\) must be a relaxeq.Field",
    ),
    "pair for an element": (
        lambda: assert_equivariant(nn.Identity(), IMAGE, IMAGE, elements=[(0, 1)]),
        GroupError,
        r"\(0, 1\) is no element of a group: write group.element\(shift=\(0, 1\)\)",
    ),
    "no data": (
        lambda: assert_equivariant(nn.Identity(), IMAGE, IMAGE, x=IMAGE.random(0)),
        ShapeError,
        "holds no data to test on",
    ),
    "text for a tolerance": (
        lambda: assert_equivariant(nn.Identity(), IMAGE, IMAGE, tolerance="x"),
        SpecError,
        "tolerance='x' must be a relative error",
    ),
    "any tolerance": (
        lambda: assert_equivariant(nn.Identity(), IMAGE, IMAGE, tolerance=float("inf")),
        SpecError,
        "tolerance=inf must be a relative error",
    ),
    "no module": (
        lambda: assert_equivariant(3, IMAGE, IMAGE),
        SpecError,
        "module=3 must be a torch.nn.Module, or a function of x",
    ),
    "no size": (
        lambda: assert_equivariant(nn.Identity(), None),
        SpecError,
        "x is missing: field_in=None does not say the size of the grid",
    ),
    "no group": (
        lambda: assert_equivariant(nn.Identity(), None, x=torch.ones(2, 1, 4, 4)),
        SpecError,
        "group is missing",
    ),
    "approximate": (
        lambda: assert_equivariant(nn.Identity(), IMAGE, IMAGE, group="C8"),
        GroupError,
        r"group=Z2 ⋊ C8 does not map a 4×4 torus to itself, .*groups\.planar\('p2'\) say\.$",
    ),
    "not square": (
        lambda: assert_equivariant(
            nn.Identity(), None, group="p4", x=torch.ones(2, 1, 4, 6, dtype=torch.float64)
        ),
        GroupError,
        r"group=Z2 ⋊ p4 does not map a 4×6 torus to itself, .* say, or a square grid\.$",
    ),
    "no planar group": (
        lambda: assert_equivariant(nn.Identity(), IMAGE, IMAGE, group=groups.symmetric(3)),
        GroupError,
        r"group=S3 does not act on grids: write a planar group",
    ),
    "grid group on vectors": (
        lambda: assert_equivariant(
            nn.Identity(), Vectors(groups.cyclic(2).regular, 1), group=groups.Z2()
        ),
        GroupError,
        r"group=Z2 acts on grids, and x has shape \(4, 2\), no grid",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_allows_no_conclusion_is_refused(name: str, unchecked: None) -> None:
    call, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        call()


def test_functions_and_single_elements_will_do() -> None:
    assert_equivariant(torch.relu, HIDDEN, HIDDEN)
    assert_equivariant(lambda x: x.roll(1, 3), HIDDEN, HIDDEN, elements=P4.element((0, 1)))
    report = equivariance_error(flipped, HIDDEN, HIDDEN)
    assert (report.equivariant, report.kind, report.fault) == (False, "flipped", "")


def flipped(x: Tensor) -> Tensor:
    return x.flip(3)


class FirstDatum(nn.Module):
    """Breaks the symmetry of one place in the batch."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x[:1] * torch.arange(x.shape[3]), x[1:]])


class Shaken(nn.Module):
    """Every datum feels how its neighbour moved."""

    def forward(self, x: Tensor) -> Tensor:
        return x + x.roll(1, 0)[..., :1].mean((1, 2, 3), keepdim=True)


@pytest.mark.parametrize("fault", [FirstDatum, Shaken])
def test_faults_between_data_are_found(fault: type[nn.Module]) -> None:
    assert float(equivariance_error(fault(), IMAGE, IMAGE)) > 1e-2
    report = equivariance_error(nn.Sequential(nn.Identity(), fault()), IMAGE, IMAGE)
    assert report.fault == "1"


def test_a_network_in_train_mode_keeps_its_mode_and_passes() -> None:
    net = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2))
    assert_equivariant(net, IMAGE, IMAGE)
    assert net.training
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in net.modules())
