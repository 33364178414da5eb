"""Bases: every value against the formula, limits, and derivatives."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from relaxeq import groups
from relaxeq.paths import Sparse
from relaxeq.paths.sparse.anchors import filter_places, group_places, placed_anchors, torus_places
from relaxeq.paths.sparse.basis import EPSILON, FAINT, gain_of, sparse_basis, whitened

PLACES = {
    "filter": filter_places(3),
    "oriented filter": filter_places(3, groups.p4()),
    "torus": torus_places((3, 4)),
    "group": group_places(groups.symmetric(3)),
}
BASES = ("exponential", "interpolating")

every = pytest.mark.parametrize("places", PLACES.values(), ids=PLACES)
both = pytest.mark.parametrize("kind", BASES)


def gaussian(places, z, turns, omega):
    return np.exp(-(omega**2) * places.squares(z, turns))


@every
def test_exponential_functions_are_their_formula(places, float64):
    basis = sparse_basis(places, Sparse())
    anchors = placed_anchors(places, basis.shape[0], "grid")
    expected = gaussian(places, anchors.z, anchors.turns, 0.7)
    np.testing.assert_allclose(basis(torch.tensor(0.7)).numpy(), expected, rtol=1e-12)
    moved = anchors.z + 0.3
    expected = gaussian(places, moved, anchors.turns, 0.7)
    found = basis(torch.tensor(0.7), torch.from_numpy(moved))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


@every
@both
def test_anchors_that_did_not_move(places, kind, float64):
    basis, omega = sparse_basis(places, Sparse(basis=kind)), torch.tensor(0.9)
    torch.testing.assert_close(basis(omega), basis(omega, torch.from_numpy(basis.start)))


@every
def test_interpolating_functions_are_gaussian_process_regression(places, float64):
    basis = sparse_basis(places, Sparse(basis="interpolating", anchors=4))
    anchors = placed_anchors(places, 4, "grid")
    among = np.array([[0.0] * 4] * 4)
    for i in range(4):
        z, turn = anchors.z[i : i + 1], anchors.turns[i : i + 1]
        place = [
            p
            for p in range(len(places))
            if (places.positions[p] == z[0]).all() and places.turns[p] == turn[0]
        ]
        among[:, i] = gaussian(places, anchors.z, anchors.turns, 0.8)[:, place[0]]
    u = np.random.default_rng(0).standard_normal(4)
    mean = gaussian(places, anchors.z, anchors.turns, 0.8).T @ np.linalg.solve(
        among + EPSILON * np.eye(4), u
    )
    found = torch.from_numpy(u) @ basis(torch.tensor(0.8))
    np.testing.assert_allclose(found.numpy(), mean, rtol=1e-9, atol=1e-12)


def test_interpolating_anchors_hold_weights(float64):
    basis = sparse_basis(filter_places(3), Sparse(basis="interpolating"))
    u = torch.randn(5)
    s = (u @ basis(torch.tensor(1.0))).view(3, 3)
    at_anchors = torch.stack([s[int(i) + 1, int(j) + 1] for i, j in basis.start])
    torch.testing.assert_close(at_anchors, u, atol=1e-3, rtol=0)


@every
@both
def test_functions_are_constant_at_zero(places, kind, float64):
    phi = sparse_basis(places, Sparse(basis=kind))(torch.tensor(0.0))
    assert (phi == phi[:, :1]).all()
    m = len(phi)
    level = 1.0 if kind == "exponential" else 1 / (m + EPSILON)
    torch.testing.assert_close(phi, torch.full_like(phi, level))


@both
def test_an_omega_per_pair(kind, float64):
    basis, omega = sparse_basis(PLACES["torus"], Sparse(basis=kind)), torch.rand(2, 3)
    found = basis(omega)
    assert found.shape == (2, 3, *basis.shape)
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(found[i, j], basis(omega[i, j]))


@every
@both
def test_derivatives(places, kind, float64):
    basis = sparse_basis(places, Sparse(basis=kind, anchors=4))
    omega = torch.tensor(0.8, requires_grad=True)
    z = torch.from_numpy(basis.start + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(basis, (omega, z))
    assert torch.autograd.gradgradcheck(basis, (omega, z))


def test_far_functions_are_zero_and_never_denormal():
    phi = sparse_basis(torus_places((32, 32)), Sparse(omega=2.0))(torch.tensor(2.0))
    assert (phi == 0).any()
    assert phi[phi > 0].min() > 1e-30


def test_the_anchors_wanted():
    assert sparse_basis(PLACES["torus"], Sparse()).shape == (6, 12)
    assert sparse_basis(PLACES["torus"], Sparse(anchors=5)).shape == (5, 12)
    assert sparse_basis(PLACES["torus"], Sparse(anchors=50)).shape == (12, 12)
    assert repr(sparse_basis(PLACES["filter"], Sparse())) == (
        "ExponentialBasis(5 functions on 9 places)"
    )


@given(st.floats(0.0, 3.0))
def test_scale_is_that_of_rectified_noise(omega):
    basis = sparse_basis(PLACES["filter"], Sparse()).double()
    phi = basis(torch.tensor(omega, dtype=torch.float64))
    correlation = torch.full((9, 9), 1 / math.pi, dtype=torch.float64)
    correlation.fill_diagonal_(1.0)  # E x xᵀ of rectified noise of mean square 1
    assert gain_of(phi) == pytest.approx(float((phi @ correlation @ phi.mT).trace()))


@every
@both
@pytest.mark.parametrize("omega", [0.0, 0.2, 1.0])
def test_white_weights_come_from_anchors(places, kind, omega, float64):
    """Q = T Φ is orthonormal and spans what Φ spans but for its faint directions."""
    phi = sparse_basis(places, Sparse(basis=kind))(torch.tensor(omega))
    white = whitened(phi)
    torch.testing.assert_close(white.functions, white.anchors @ phi)
    rank = len(white.functions)
    torch.testing.assert_close(white.functions @ white.functions.mT, torch.eye(rank))
    rest = phi - phi @ white.functions.mT @ white.functions
    sizes = torch.linalg.svdvals(phi)
    assert torch.linalg.matrix_norm(rest, 2) < FAINT * sizes[0] + 1e-9
    assert rank == int((sizes > FAINT * sizes[0]).sum())
    draws = torch.randn(20_000, rank) @ white.anchors
    assert draws.square().sum(1).mean().item() == pytest.approx(white.square, rel=0.05)


def test_each_pair_starts_as_the_first():
    phi = sparse_basis(PLACES["filter"], Sparse())(torch.ones(2, 3))
    torch.testing.assert_close(whitened(phi).anchors, whitened(phi[0, 0]).anchors)


def test_rectified_noise_has_that_correlation():
    x = torch.randn(2_000_000, 2, generator=torch.Generator().manual_seed(0)).relu()
    second = x.mT @ x / len(x)
    assert float(second[0, 1] / second[0, 0]) == pytest.approx(1 / math.pi, rel=0.01)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_precision_follows_the_module(dtype):
    basis = sparse_basis(PLACES["torus"], Sparse(basis="interpolating")).to(dtype)
    exact = sparse_basis(PLACES["torus"], Sparse(basis="interpolating")).float().double()
    omega = torch.tensor(0.5, dtype=torch.float64)
    found = basis(omega.to(dtype))
    assert found.dtype == dtype
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    torch.testing.assert_close(found.double(), exact(omega), atol=tolerance, rtol=tolerance)
