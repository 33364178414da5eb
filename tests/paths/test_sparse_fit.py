"""From dense weights to anchors: least squares against numpy, residuals, twins, and refusals."""

import numpy as np
import pytest
import torch

from relaxeq import groups
from relaxeq.errors import ShapeError, SpecError
from relaxeq.fields import Field
from relaxeq.paths import (
    CayleyConv,
    FactoredFC,
    GroupConv,
    Sparse,
    SparseCayley,
    SparseConv,
    SparseFC,
    Vectors,
    dense_weights,
    fit_anchors,
    least_squares,
)

Z2 = groups.Z2()
P4 = groups.semidirect(Z2, groups.p4())
PLAIN = Z2.point_group.subgroup([])
SOURCE, TARGET = Field(Z2, 2, (4, 6)), Field(Z2, 3, (2, 3))
ORIENTED = Field(P4, 2, (4, 4))
FULL = P4.point_group.as_subgroup(P4.point_group)
REGULAR = Vectors(groups.symmetric(3).regular, 2)

TWINS = {
    "S-FC": lambda o: (SparseFC(SOURCE, TARGET, options=o), FactoredFC(SOURCE, TARGET)),
    "S-CONV": lambda o: (
        SparseConv(SOURCE, SOURCE, 5, PLAIN, options=o),
        GroupConv(SOURCE, SOURCE, 5, PLAIN),
    ),
    "S-GCONV": lambda o: (
        SparseConv(ORIENTED, ORIENTED, 3, FULL, options=o),
        GroupConv(ORIENTED, ORIENTED, 3, FULL),
    ),
    "S-GCONV of a group": lambda o: (
        SparseCayley(REGULAR, REGULAR, options=o),
        CayleyConv(REGULAR, REGULAR),
    ),
}
every = pytest.mark.parametrize("make", TWINS.values(), ids=TWINS)


def weights_of(twin):
    if isinstance(twin, FactoredFC):
        return {"u1": twin.theta1, "u2": twin.theta2}
    return {"u": twin.theta}


@every
@pytest.mark.parametrize("basis", ["exponential", "interpolating"])
def test_weights_in_the_span_come_back(make, basis, float64):
    path, twin = make(Sparse(basis=basis))
    with torch.no_grad():
        for name, weight in dense_weights(path).items():
            weights_of(twin)[name].copy_(weight.view_as(weights_of(twin)[name]))
    expected = path.matrix()
    with torch.no_grad():
        for name in path.bases:
            path.anchors(name).zero_()
    residuals = fit_anchors(path, twin)
    assert set(residuals) == set(path.bases)
    assert all(0 <= value < 1e-9 for value in residuals.values())
    torch.testing.assert_close(path.matrix(), expected)


@every
def test_other_weights_are_projected(make, float64):
    """u is that of numpy's least squares, and the residual what u Φ leaves."""
    path, twin = make(Sparse())
    residuals = fit_anchors(path, twin)
    for name, phi in path.functions().items():
        basis = phi.detach().numpy()
        weight = weights_of(twin)[name].detach().reshape(-1, basis.shape[1]).numpy()
        u, *_ = np.linalg.lstsq(basis.T, weight.T, rcond=None)
        found = path.anchors(name).detach().reshape(-1, len(basis)).numpy()
        np.testing.assert_allclose(found, u.T, atol=1e-9)
        left = np.linalg.norm(weight - u.T @ basis) / np.linalg.norm(weight)
        assert residuals[name] == pytest.approx(left)
        assert 0.1 < residuals[name] < 0.95


@pytest.mark.parametrize("name", ["S-FC", "S-CONV"])
def test_as_many_anchors_as_places_lose_nothing(name, float64):
    path, twin = TWINS[name](Sparse(anchors=100, omega=2.0))
    assert max(fit_anchors(path, twin).values()) < 1e-6
    torch.testing.assert_close(path.matrix(), twin.matrix(), atol=1e-6, rtol=0)


def test_each_pair_is_fitted_with_its_own_functions(float64):
    path, twin = TWINS["S-CONV"](Sparse(per_pair=True))
    with torch.no_grad():
        path.omega.uniform_(0.3, 1.5)
    fit_anchors(path, twin)
    phi, weight = path.functions()["u"].detach(), twin.theta.detach().view(2, 2, 25)
    for o in range(2):
        for c in range(2):
            u, *_ = np.linalg.lstsq(phi[o, c].numpy().T, weight[o, c].numpy(), rcond=None)
            np.testing.assert_allclose(path.u[o, c].detach().numpy(), u, atol=1e-9)


def test_lengthscales_and_locations_stay(float64):
    options = Sparse("lengthscales", learn_anchors=True)
    path, twin = TWINS["S-FC"](options)
    with torch.no_grad():
        path.omega.fill_(0.7)
        path.z1.add_(0.2)
    before = path.z1.detach().clone()
    fit_anchors(path, {"u1": twin.theta1, "u2": twin.theta2})
    assert path.omega.item() == 0.7
    assert torch.equal(path.z1, before)
    assert path.amplitudes.u1.requires_grad


def test_constant_functions_fit_means(float64):
    path, twin = TWINS["S-FC"](Sparse("lengthscales"))
    path.prior_variance = 0.0
    fit_anchors(path, twin)
    means = twin.theta1.mean(-1, keepdim=True).expand_as(twin.theta1)
    torch.testing.assert_close(dense_weights(path)["u1"], means.detach())


def test_nothing_is_lost_of_nothing():
    fit = least_squares(torch.zeros(2, 3, 4), torch.rand(2, 4))
    assert fit.residual == 0.0
    assert not fit.values.any()


def test_precision_follows_the_weights():
    weight, phi = torch.rand(2, 3, 9), torch.rand(5, 9)
    fit, fine = least_squares(weight, phi), least_squares(weight.double(), phi.double())
    assert fit.values.dtype == torch.float32
    torch.testing.assert_close(fit.values, fine.values.float())
    assert fit.residual == pytest.approx(fine.residual)


@pytest.mark.parametrize(
    ("dense", "error", "message"),
    [
        (
            lambda: GroupConv(SOURCE, SOURCE, 3, PLAIN),
            SpecError,
            "dense=GroupConv is not the dense twin of S-FC: give a FactoredFC",
        ),
        (
            lambda: {"u": torch.zeros(3, 2, 6)},
            SpecError,
            r"dense=\['u'\] must name a weight for each of \['u1', 'u2'\]",
        ),
        (
            lambda: FactoredFC(SOURCE, SOURCE),
            ShapeError,
            r"shape \(2, 2, 24\) for u1 of S-FC, whose dense weight is \(3, 2, 6\)",
        ),
    ],
)
def test_errors(dense, error, message, unchecked):
    path, _ = TWINS["S-FC"](Sparse())
    with pytest.raises(error, match=message):
        fit_anchors(path, dense())
