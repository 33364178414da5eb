"""What every path promises: linearity, initial scale, priors, state, dtype."""

import copy
import math
import pickle

import pytest
import torch
from torch import nn

from relaxeq import Field, groups
from relaxeq.errors import SpecError
from relaxeq.paths import FC, Bias, FactoredFC, GroupConv, depthwise_separable_conv, separable_conv

Z2, P4, P4M = (groups.planar(name) for name in ("Z2", "p4", "p4m"))


def pair(group=Z2, in_=2, out=3, size=(4, 4), coarse=None, reps=("regular", "regular")):
    return (
        Field(group, in_, size, rep=reps[0]),
        Field(group, out, coarse or size, rep=reps[1]),
    )


def gconv(group, kernel=3, part=(1,), pointwise=False, **options):
    part = group.point_group.subgroup(list(part))
    return GroupConv(*pair(group, **options), kernel, part, pointwise=pointwise)


PATHS = {
    "FC": lambda: FC(*pair()),
    "FC, stride 2": lambda: FC(*pair(coarse=(2, 2))),
    "F-FC": lambda: FactoredFC(*pair()),
    "F-FC, stride 2": lambda: FactoredFC(*pair(coarse=(2, 2))),
    "F-FC, p4": lambda: FactoredFC(*pair(P4)),
    "CONV": lambda: gconv(Z2, part=()),
    "CONV 5×5": lambda: gconv(Z2, 5, ()),
    "CONV, p4m": lambda: gconv(P4M, part=()),
    "GCONV": lambda: gconv(P4),
    "GCONV, p2": lambda: gconv(P4, part=(2,)),
    "pointwise": lambda: gconv(P4, pointwise=True),
    "lifting": lambda: gconv(P4, reps=("trivial", "regular")),
    "invariant": lambda: gconv(P4M, part=(1, 4), reps=("regular", "trivial")),
    "separable": lambda: separable_conv(*pair(P4), 3, P4.point_group.subgroup([1])),
    "depthwise-separable": lambda: depthwise_separable_conv(
        *pair(P4), 3, P4.point_group.subgroup([1])
    ),
}


def wide(path):
    """The same path with parameters all drawn, inner biases too."""
    for parameter in path.parameters():
        nn.init.normal_(parameter)
    return path


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.usefixtures("float64")
def test_linear_in_the_input(name):
    path = wide(PATHS[name]())
    x, z = torch.randn(2, 3, *path.in_shape)
    origin = path(torch.zeros_like(x))
    assert path(x).shape == (3, *path.out_shape)
    left = path(2.0 * x - 3.0 * z) - origin
    torch.testing.assert_close(left, 2.0 * (path(x) - origin) - 3.0 * (path(z) - origin))
    images = x.flatten(1) @ path.matrix().T + origin.flatten(1)
    torch.testing.assert_close(path(x).flatten(1), images)


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.usefixtures("float64")
def test_linear_in_each_parameter(name):
    """Affine in each where inner biases add; linear where the path has no bias."""
    path = wide(PATHS[name]())
    x = torch.randn(2, *path.in_shape)

    def output(own, value):
        return torch.func.functional_call(path, {own: value}, (x,))

    for own, parameter in path.named_parameters():
        first, second = torch.randn_like(parameter), torch.randn_like(parameter)
        zero = output(own, torch.zeros_like(parameter))
        mixed = output(own, 2.0 * first - 3.0 * second) - zero
        apart = 2.0 * (output(own, first) - zero) - 3.0 * (output(own, second) - zero)
        torch.testing.assert_close(mixed, apart)
        if len(list(path.parameters())) == 1:
            assert not zero.any()


@pytest.mark.parametrize("gain", [1.0, 0.5])
@pytest.mark.parametrize("name", PATHS)
def test_initial_scale(name, gain):
    """Outputs have gain² times the mean square of the inputs, averaged over weights and data."""
    path, generator = PATHS[name](), torch.Generator().manual_seed(0)
    x = 3.0 * torch.randn(16, *path.in_shape)
    squares = []
    with torch.no_grad():
        for _ in range(60):
            path.reset_parameters(gain, generator)
            squares.append(path(x).square().mean() / x.square().mean())
    mean = torch.stack(squares).mean()
    assert float(mean) == pytest.approx(gain**2, rel=0.15)


def test_factored_parameters_start_with_equal_norms():
    """The balanced point of the gauge (θ1·c, θ2/c) under one prior."""
    path = FactoredFC(*pair(in_=20, out=30, size=(8, 8), coarse=(4, 4)))
    ratio = path.theta1.detach().norm() / path.theta2.detach().norm()
    assert float(ratio) == pytest.approx(1.0, rel=0.03)


@pytest.mark.parametrize("name", PATHS)
def test_prior_samples(name):
    path = PATHS[name]()
    path.prior_variance = 4.0
    path.sample_prior_(torch.Generator().manual_seed(3))
    first = [p.detach().clone() for p in path.parameters()]
    values = torch.cat([p.flatten() for p in first])
    assert float(values.square().mean()) == pytest.approx(4.0, rel=6 / math.sqrt(len(values)))
    path.sample_prior_(torch.Generator().manual_seed(3))
    assert all(torch.equal(a, b) for a, b in zip(first, path.parameters(), strict=True))
    path.sample_prior_(torch.Generator().manual_seed(4))
    assert not torch.equal(first[0], next(path.parameters()))
    path.prior_variance = 0.0
    path.sample_prior_()
    assert all((p == 0).all() for p in path.parameters())


def test_prior_variance_and_precision():
    path = FC(*pair())
    assert (path.prior_variance, path.prior_precision, path.off) == (1.0, 1.0, False)
    path.prior_variance = 0.25
    assert path.prior_precision == 4.0
    path.prior_variance = 0.0
    assert (path.prior_precision, path.off) == (math.inf, True)
    for bad in (-0.1, math.nan, math.inf):
        with pytest.raises(SpecError, match=f"prior_variance={bad} of path 'FC' must be finite"):
            path.prior_variance = bad
    assert path.off  # a refused value changes nothing


@pytest.mark.usefixtures("unchecked")
def test_a_prior_variance_is_a_number():
    path = FC(*pair())
    for bad in (None, "off", "0.5", b"0.5", True, False):
        with pytest.raises(SpecError, match=f"prior_variance={bad} of path 'FC' must be finite"):
            path.prior_variance = bad
    assert path.prior_variance == 1.0


@pytest.mark.parametrize("name", PATHS)
def test_state_survives(name):
    """Parameters and σ² travel in the state_dict, in copies and in pickles; nothing else does."""
    path = wide(PATHS[name]())
    path.prior_variance = 0.125
    state = path.state_dict()
    assert set(state) == {own for own, _ in path.named_parameters()} | {"_extra_state"}
    other = PATHS[name]()
    other.load_state_dict(state)
    x = torch.randn(2, *path.in_shape)
    for same in (other, copy.deepcopy(path), pickle.loads(pickle.dumps(path))):
        assert same.prior_variance == 0.125
        assert torch.equal(same(x), path(x))
        assert same.symmetry == path.symmetry
        assert same.sites().keys() == path.sites().keys()


@pytest.mark.parametrize("name", PATHS)
def test_dtype_and_device_follow(name):
    path = wide(PATHS[name]())
    x = torch.randn(2, *path.in_shape, dtype=torch.float64)
    single = path(x.float())
    assert single.dtype == torch.float32
    double = copy.deepcopy(path).double()
    assert double(x).dtype == double.matrix().dtype == torch.float64
    torch.testing.assert_close(double(x).float(), single, rtol=1e-4, atol=1e-4)
    moved = path.to("meta")
    assert moved(x.float().to("meta")).device.type == "meta"
    assert {tensor.device.type for tensor in moved.buffers()} <= {"meta"}


@pytest.mark.parametrize("name", PATHS)
def test_gradients_reach_every_parameter(name):
    path = wide(PATHS[name]())
    path(torch.randn(2, *path.in_shape)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in path.parameters())


SYMMETRIES = {
    "FC": "none",
    "F-FC": "none",
    "CONV": "Z2",
    "GCONV": "Z2 ⋊ p4",
    "GCONV, p2": "Z2 ⋊ p2",
}


@pytest.mark.parametrize("name", SYMMETRIES)
def test_symmetry_and_text(name):
    path = PATHS[name]()
    path.prior_variance = 0.0625
    assert path.symmetry == SYMMETRIES[name]
    assert f"symmetry={SYMMETRIES[name]}, prior_variance=0.0625" in repr(path)
    assert path.size == sum(p.numel() for p in path.parameters())


@pytest.mark.usefixtures("float64")
def test_bias_is_constant_over_positions_and_orientations():
    field = Field(P4, 2, (3, 3))
    bias = Bias(field)
    nn.init.normal_(bias.value)
    x = field.random(2)
    added = (bias(x) - x).detach()
    assert bias.value.shape == (2,)
    for c in range(2):
        torch.testing.assert_close(
            added[:, 4 * c : 4 * c + 4], bias.value[c].detach().expand(2, 4, 3, 3)
        )
    a = P4.element(shift=(1, 2), point=P4.point_group.elements[3])
    torch.testing.assert_close(bias(field.act(a, x)), field.act(a, bias(x)))
