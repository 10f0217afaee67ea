"""The old loss: closed forms against Monte Carlo, the discriminator's estimate against its bound and its derivative."""

import math

import numpy as np
import pytest
from scipy import stats

from otbench.problems import problem
from otbench.problems.gaussian_js import scaled_gaussians_js, shifted_gaussians_js
from otbench.transport.divergences import js_estimate, js_gradient, raw_gradient

CASES = [
    ("translation", 1, {"shift": 0.3}), ("translation", 3, {"shift": -2.0, "direction": "diagonal", "scale": 0.5}),
    ("translation", 2, {"shift": -0.4, "law": "cube", "direction": "diagonal"}),
    ("translation", 3, {"shift": 0.9, "law": "ball"}),
    ("scaling", 1, {"factor": 2.0}), ("scaling", 2, {"factor": 0.5, "sigma": 3.0}), ("scaling", 20, {"factor": 1.2}),
]  # fmt: skip


def log_ratio(p, points):
    """log q/p at points, from the densities."""
    if p.name == "scaling":
        scales = (p.factor * p.sigma, p.sigma)
        q, p = (stats.norm.logpdf(points, 0, s).sum(axis=1) for s in scales)
        return q - p
    move = p.shift * p.velocity(points)
    if p.law == "gaussian":
        return (stats.norm.logpdf(points - move, 0, p.scale) - stats.norm.logpdf(points, 0, p.scale)).sum(axis=1)

    def inside(z):
        return np.abs(z).max(axis=1) <= p.scale / 2 if p.law == "cube" else np.linalg.norm(z, axis=1) <= p.scale

    with np.errstate(divide="ignore"):
        return np.log(inside(points - move) * 1.0) - np.log(inside(points) * 1.0)


@pytest.mark.parametrize(("name", "dim", "fields"), CASES)
def test_any_closed_form_divergence_is_the_mean_of_the_density_ratio(name, dim, fields):
    p = problem(name, dim=dim, **fields)
    pair = p.sample(100_000)
    here, there = np.logaddexp(0, log_ratio(p, pair.x)), np.logaddexp(0, -log_ratio(p, pair.y))
    estimate = np.log(2) - (here.mean() + there.mean()) / 2
    assert abs(estimate - p.population_js) <= 5 * (here.std() + there.std()) / 2 / 100_000**0.5 + 1e-12
    if np.isfinite(p.population_kl):
        ratio = -log_ratio(p, pair.x)
        assert abs(ratio.mean() - p.population_kl) <= 5 * ratio.std() / 100_000**0.5
    else:
        assert np.isinf(log_ratio(p, pair.x)).any()


@pytest.mark.parametrize("dim", [1, 2, 5, 64, 3072])
@pytest.mark.parametrize("factor", [0.5, 1.3, 7.0, 1e6])
def test_js_is_the_same_with_the_sides_exchanged_and_kl_is_not(dim, factor):
    p, q = problem("scaling", dim=dim, factor=factor), problem("scaling", dim=dim, sigma=factor, factor=1 / factor)
    assert p.population_js == pytest.approx(q.population_js, abs=1e-9)
    assert p.population_w1 == pytest.approx(q.population_w1)
    assert p.population_kl != pytest.approx(q.population_kl, rel=0.05)
    assert 0 <= p.population_js <= np.log(2) * (1 + 1e-12)


def test_divergences_of_a_law_from_itself_are_zero_and_of_far_laws_log_two():
    assert shifted_gaussians_js(0.0) == pytest.approx(0, abs=1e-12)
    assert [scaled_gaussians_js(dim, 1.0) for dim in (1, 7, 999)] == pytest.approx([0] * 3, abs=1e-12)
    assert shifted_gaussians_js(-3.0) == shifted_gaussians_js(3.0)
    assert [shifted_gaussians_js(s) for s in (15, 1e3, 1e9)] == pytest.approx([np.log(2)] * 3, abs=1e-9)
    for theta, js, kl in ((0.0, 0.0, 0.0), (-0.1, np.log(2), np.inf), (1e-9, np.log(2), np.inf)):
        p = problem("segments", theta=theta)
        assert (p.population_js, p.population_kl) == (js, kl)


@pytest.mark.parametrize("shift", [1e-3, 0.1, 1.0])
def test_js_of_close_gaussians_is_an_eighth_of_the_squared_shift(shift):
    """Any f-divergence is locally Fisher's information: JS ~ shift^2 / 8."""
    assert shifted_gaussians_js(shift) == pytest.approx(shift**2 / 8, rel=shift**2 / 4 + 1e-6)


MOVING = [
    ("segments", {"dim": 3}, "theta", -0.3), ("translation", {"dim": 2, "direction": "diagonal"}, "shift", -0.5),
    ("translation", {"dim": 3, "law": "ball"}, "shift", 0.5), ("scaling", {"dim": 2, "sigma": 2.0}, "factor", 0.7),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "parameter", "value"), MOVING)
def test_the_velocity_is_how_points_move_as_the_parameter_grows(name, fields, parameter, value):
    here, later = (problem(name, **fields, **{parameter: value + step}) for step in (0.0, 1e-6))
    y, moved = (p.coupling(np.random.default_rng(0), 5)[1] for p in (here, later))
    assert here.velocity(y) == pytest.approx((moved - y) / 1e-6, abs=1e-8)


def test_a_family_without_a_parameter_of_its_own_has_no_velocity():
    assert problem("spheres", dim=2).velocity(np.ones((3, 2))) is None


@pytest.mark.parametrize("seed", range(20))
def test_the_estimate_of_any_function_is_at_most_js_of_the_samples_and_the_log_ratio_attains_it(seed):
    rng = np.random.default_rng(seed)
    p, q = (rng.dirichlet(np.ones(6)) * (rng.random(6) < 0.7) for _ in range(2))
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        js = (np.nansum(p * np.log(p / middle)) + np.nansum(q * np.log(q / middle))) / 2
        best = np.nan_to_num(np.log(p / q), posinf=800, neginf=-800)
    assert js_estimate(best, best, p, q) == pytest.approx(js, abs=1e-12)
    for scale in (0.1, 1.0, 100.0):
        f = best + scale * rng.standard_normal(6)
        assert js_estimate(f, f, p, q) <= js
    assert js <= np.abs(p - q).sum() / 2 * np.log(2) + 1e-12


@pytest.mark.parametrize("shift", [-1.5, 0.2, 1.0])
def test_the_gradient_at_the_optimal_discriminator_is_the_derivative_of_js(shift):
    """The envelope theorem: at the optimum D may be held fixed. Shifted Gaussians: log p/q = shift^2/2 - shift x_1."""
    y = stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000)[:, None] + shift  # a stratified sample of Q
    logits, slopes = shift**2 / 2 - shift * y[:, 0], np.full((200_000, 1), -shift)
    found = js_gradient(logits, slopes, np.ones_like(y), np.full(200_000, 5e-6))
    derivative = (shifted_gaussians_js(shift + 1e-4) - shifted_gaussians_js(shift - 1e-4)) / 2e-4
    assert found == pytest.approx(derivative, rel=1e-4)


def test_the_gradients_are_finite_differences_with_the_critic_held_fixed():
    rng = np.random.default_rng(0)
    x, y, velocity, b = rng.random((4, 2)), rng.random((5, 2)), rng.random((5, 2)), rng.dirichlet(np.ones(5))
    a = np.full(4, 0.25)

    def f(z):
        return np.sin(z[:, 0]) + z[:, 0] * z[:, 1]

    gy = np.stack([np.cos(y[:, 0]) + y[:, 1], y[:, 0]], axis=1)
    for value, gradient in (
        (lambda t: js_estimate(f(x), f(y + t * velocity), a, b), js_gradient(f(y), gy, velocity, b)),
        (lambda t: a @ f(x) - b @ f(y + t * velocity), raw_gradient(gy, velocity, b)),
    ):
        assert gradient == pytest.approx((value(1e-5) - value(-1e-5)) / 2e-5, rel=1e-8)


def test_a_discriminator_that_is_sure_sends_no_gradient_and_one_that_is_lost_sends_half():
    gy, velocity, b = np.full((3, 1), -2.0), np.ones((3, 1)), np.full(3, 1 / 3)
    assert js_gradient(np.full(3, -800.0), gy, velocity, b) == pytest.approx(0, abs=1e-300)
    assert js_gradient(np.zeros(3), gy, velocity, b) == pytest.approx(0.5)
    assert js_gradient(np.full(3, 800.0), gy, velocity, b) == pytest.approx(1.0)


@pytest.mark.parametrize("sizes", [(7, 7), (5, 9)])
def test_every_side_is_weighed_by_its_own_weights(sizes):
    rng = np.random.default_rng(4)
    n, m = sizes
    a, b = rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
    fx, fy, gy, velocity = rng.normal(size=n), rng.normal(size=m), rng.normal(size=(m, 3)), rng.normal(size=(m, 3))
    of_x = sum(w * math.log(1 / (1 + math.exp(-f))) for w, f in zip(a, fx, strict=True))
    of_y = sum(w * math.log(1 - 1 / (1 + math.exp(-f))) for w, f in zip(b, fy, strict=True))
    assert js_estimate(fx, fy, a, b) == pytest.approx((of_x + of_y + math.log(4)) / 2, rel=1e-12)
    pushes = [w * float(g @ v) for w, g, v in zip(b, gy, velocity, strict=True)]
    assert raw_gradient(gy, velocity, b) == pytest.approx(-sum(pushes), rel=1e-12)
    felt = sum(push / (1 + math.exp(-f)) for push, f in zip(pushes, fy, strict=True))
    assert js_gradient(fy, gy, velocity, b) == pytest.approx(-felt / 2, rel=1e-12)
