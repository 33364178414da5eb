"""Learned noise on Bayesian linear regression, where the evidence is log N(y | 0, ΦΦᵀ/α + I/β)."""

import math

import pytest
import torch
from scipy.optimize import minimize

from relaxeq.errors import SpecError
from relaxeq.evidence import MacKay, Noise, Term, log_marginal_likelihood, rescaled
from relaxeq.evidence.updates import HIGHEST, LOWEST

pytestmark = pytest.mark.usefixtures("float64")
COUNT, FEATURES = 12, 4


def task():
    features = torch.randn(COUNT, FEATURES)
    return features, features @ torch.randn(FEATURES) + 0.5 * torch.randn(COUNT)


def truth(features, y, alpha, beta):
    cover = features @ features.T / alpha + torch.eye(COUNT) / beta
    normal = torch.distributions.MultivariateNormal(torch.zeros(COUNT), cover)
    return float(normal.log_prob(y))


def at(features, y, alpha, beta):
    """What Laplace sees at the posterior mode: the log-likelihood, the noise and the term."""
    gram = beta * features.T @ features
    mode = torch.linalg.solve(gram + alpha * torch.eye(FEATURES), beta * features.T @ y)
    squares = float((y - features @ mode).square().sum())
    fit = -0.5 * (beta * squares - COUNT * math.log(beta / (2 * math.pi)))
    term = Term(torch.linalg.eigvalsh(gram).clamp_min(0), float(mode @ mode))
    return fit, Noise(squares, COUNT, beta), {"w": term}


@pytest.mark.parametrize("alpha", [0.03, 1.0, 20.0])
@pytest.mark.parametrize("beta", [0.1, 3.0, 40.0])
def test_gradient_is_that_of_the_exact_evidence(alpha, beta):
    """At the mode the weights' answer to β drops out: fixed weights give the derivative."""
    features, y = task()
    fit, noise, terms = at(features, y, alpha, beta)
    exact = truth(features, y, alpha, beta)
    assert log_marginal_likelihood(fit, terms, {"w": alpha}) == pytest.approx(exact, rel=1e-9)
    step = 1e-5
    above, below = (truth(features, y, alpha, beta * math.exp(s)) for s in (step, -step))
    slope = noise.gradient(terms, {"w": alpha}, beta)
    assert slope == pytest.approx((above - below) / (2 * step), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("beta", [0.01, 1.0, 1e4])
def test_the_best_noise_satisfies_its_fixed_point_wherever_it_starts(beta):
    """σ² = R/(M − γ), and no β on a grid is better at these weights."""
    features, y = task()
    _, noise, terms = at(features, y, 0.7, 2.0)
    terms, noise = rescaled(terms, beta / 2.0), Noise(noise.squares, COUNT, beta)
    best = noise.best(terms, {"w": 0.7})
    gamma = rescaled(terms, best / beta)["w"].effective_parameters(0.7)
    assert 1 / best == pytest.approx(noise.squares / (COUNT - gamma), rel=1e-8)

    def value(other):
        fit = -0.5 * (other * noise.squares - COUNT * math.log(other))
        return log_marginal_likelihood(fit, rescaled(terms, other / beta), {"w": 0.7})

    assert value(best) >= max(value(best * math.exp(k / 50)) for k in range(-200, 201)) - 1e-9


def test_noise_and_prior_together_reach_type_ii_maximum_likelihood():
    features, y = task()
    found = minimize(
        lambda logs: -truth(features, y, *(math.exp(v) for v in logs)),
        [0.0, 0.0],
        method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-13},
    )
    alpha, beta = 1.0, 1.0
    for _ in range(300):
        _, noise, terms = at(features, y, alpha, beta)
        beta = noise.best(terms, {"w": alpha})
        terms = rescaled(terms, beta / noise.precision)
        alpha = MacKay(1.0, 1).step(terms, {"w": alpha}, {})[0]["w"]
    assert [alpha, beta] == pytest.approx([math.exp(v) for v in found.x], rel=1e-4)


def test_noise_stays_inside_its_bounds():
    terms = {"w": Term(torch.ones(2), 1.0)}
    assert Noise(0.0, 10, 1.0).best(terms, {"w": 1.0}) == HIGHEST  # fits every target
    assert Noise(1e30, 10, 1.0).best(terms, {"w": 1.0}) == LOWEST
    off = Noise(5.0, 10, 1.0).best({"w": Term(torch.ones(2), 0.0)}, {"w": math.inf})
    assert off == pytest.approx(2.0)  # M/R: a path that is off takes no part


@pytest.mark.parametrize("bad", [(-1.0, 3, 1.0), (1.0, 0, 1.0), (1.0, 3, 0.0), (1.0, 3, math.inf)])
def test_bad_input(bad):
    with pytest.raises(SpecError, match="squares must not be negative, entries and precision pos"):
        Noise(*bad)
