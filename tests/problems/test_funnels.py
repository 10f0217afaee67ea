"""Minimum of funnels: the laws of the map and its potential, by routes that do not share its arithmetic."""

import pickle

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.spatial.distance import cdist

from otbench.errors import InputError
from otbench.problems import problem
from otbench.problems.funnel_map import FunnelMap
from otbench.problems.funnels import _certify
from otbench.transport.alignment import alignment
from otbench.transport.bounds import Ladder
from otbench.transport.dense import cost_matrix, solve_cost
from otbench.transport.exact import solve_exact

SIZES = pytest.mark.parametrize(("dim", "funnels"), [(1, 3), (2, 4), (2, 256), (16, 1), (16, 64), (128, 256)])


def funnels_of(dim, funnels, **fields):
    return problem("funnels", dim=dim, funnels=funnels, **fields)


def own_map(dim, funnels, power=8.0, bias_scale=0.1, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.uniform(-2.5, 2.5, (funnels, dim))
    return FunnelMap(centres, bias_scale * rng.standard_normal(funnels), 2.5, power)


def by_distances(built, z):
    """Values (n, K) of every funnel from differences, without matrix products."""
    return cdist(z, built.centres) + built.biases


def box_points(built, n, seed=1):
    return np.random.default_rng(seed).uniform(-2.5, 2.5, (n, built.centres.shape[1]))


@pytest.mark.parametrize(("dim", "funnels"), [(2, 4), (4, 16), (16, 4), (64, 64), (128, 256)])
def test_the_exact_w1_of_coupled_samples_is_the_mean_length_of_their_rays(dim, funnels):
    pair = funnels_of(dim, funnels).sample(1000, mode="coupled")
    assert solve_exact(pair.x, pair.y).w1 == pytest.approx(pair.coupled_w1, rel=1e-9)


@SIZES
def test_the_potential_is_the_lowest_funnel_and_1_lipschitz(dim, funnels):
    built = own_map(dim, funnels)
    z, other = box_points(built, 2000), box_points(built, 2000, seed=2)
    u = built.potential(z)
    np.testing.assert_allclose(u, by_distances(built, z).min(axis=1), rtol=0, atol=1e-13)
    near = z + 1e-3 * (other - z)
    for there in (other, near):
        assert (np.abs(u - built.potential(there)) <= np.linalg.norm(z - there, axis=1) + 1e-13).all()
    np.testing.assert_allclose(np.linalg.norm(built.gradient(z), axis=1), 1.0, rtol=1e-14)


@SIZES
@pytest.mark.parametrize("power", [1.5, 8.0, 100.0])
def test_the_map_stays_on_its_ray_in_the_box_and_in_its_funnel(dim, funnels, power):
    built = own_map(dim, funnels, power)
    y = box_points(built, 2000)
    x = built.move(y)
    lengths = np.linalg.norm(y - x, axis=1)
    np.testing.assert_allclose(built.potential(y) - built.potential(x), lengths, rtol=0, atol=1e-13)
    assert (np.abs(x) <= 2.5 + 1e-14).all()
    centres = built.centres[by_distances(built, y).argmin(axis=1)]
    np.testing.assert_allclose(np.linalg.norm(x - centres, axis=1) + lengths, np.linalg.norm(y - centres, axis=1))


@pytest.mark.parametrize(("dim", "funnels"), [(1, 3), (2, 4), (2, 256), (16, 64), (128, 16)])
def test_rays_end_where_a_search_along_them_sees_another_funnel_or_the_box(dim, funnels):
    built = own_map(dim, funnels, power=3.0)
    y = box_points(built, 60)
    active = by_distances(built, y).argmin(axis=1)
    for start, end, k in zip(y, built.move(y), active, strict=True):
        centre, length = built.centres[k], np.linalg.norm(start - built.centres[k])
        way = (start - centre) / length

        def excess(r, centre=centre, way=way, k=k):
            point = centre + r * way
            others = np.delete(by_distances(built, point[None])[0], k)
            return max(np.abs(point).max() - 2.5, (r + built.biases[k] - others).max(initial=-np.inf))

        far = brentq(excess, length * (1 - 1e-9), 20 * dim**0.5, xtol=1e-13)
        np.testing.assert_allclose(end, centre + far * (length / far) ** 3 * way, atol=1e-9)


def test_a_move_by_power_one_is_no_move_at_all():
    p = funnels_of(3, 5, power=1.0)
    pair = p.sample(500, mode="coupled")
    assert np.array_equal(pair.x, pair.y)
    assert (p.population_w1, p.population_stderr) == (0.0, 0.0)


def test_a_centre_stays_where_it_is_and_has_no_gradient():
    built = own_map(4, 6, bias_scale=0.0)
    assert np.array_equal(built.move(built.centres), built.centres)
    assert not built.gradient(built.centres).any()


def test_rays_along_faces_and_from_centres_on_faces_stay_in_the_box():
    corner, face, middle = [2.5, 2.5], [2.5, 0.0], [0.0, 0.0]
    y = np.array([[2.5, -2.5], [2.5, 2.5], [-2.5, 0.0], [0.0, -2.5], [2.5, 1.0], [1.0, 0.0]])
    for centre in (corner, face, middle):
        built = FunnelMap(np.array([centre]), np.zeros(1), 2.5, 2.0)
        x = built.move(y)
        assert np.isfinite(x).all()
        assert (np.abs(x) <= 2.5).all()
    np.testing.assert_allclose(x[-1], [0.4, 0.0], rtol=1e-15)  # (1 / 2.5)^2 of the way from the middle to the face


@pytest.mark.parametrize("dim", [2, 128])
def test_a_funnel_that_only_just_shows_inside_another_is_told_by_distances(dim):
    centres = box_points(own_map(dim, 2), 2)
    apart = np.linalg.norm(centres[0] - centres[1])
    built = FunnelMap(centres, np.array([0.0, apart - 1e-9]), 2.5, 8.0)  # the second is lowest on a 1e-9 ball
    z = centres[1] + 1e-8 * np.random.default_rng(0).standard_normal((200, dim))
    np.testing.assert_allclose(built.potential(z), by_distances(built, z).min(axis=1), rtol=0, atol=1e-13)


def test_funnels_inside_others_never_take_over():
    centres = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [-1.0, 0.0]])
    built, alone = (FunnelMap(c, b, 2.5, 8.0) for c, b in (
        (centres, np.array([0.0, 5.0, 0.0, 1.0])), (centres[:1], np.zeros(1))))  # fmt: skip
    y = box_points(built, 500)
    np.testing.assert_allclose(built.move(y), alone.move(y), rtol=0, atol=1e-15)


@pytest.mark.parametrize(("dim", "funnels"), [(2, 4), (32, 16)])
def test_the_potential_attains_every_rung_and_its_own_gradient(dim, funnels):
    p = funnels_of(dim, funnels)
    pair = p.sample(300, mode="coupled")
    cost = cost_matrix(pair.x, pair.y)
    exact = solve_cost(cost, pair.a, pair.b)
    gx, gy = p.potential_gradient(pair.x), p.potential_gradient(pair.y)
    found = Ladder(cost, pair.a, pair.b).bounds(
        p.potential(pair.x), p.potential(pair.y), clip_constant=1.0, spectral_constant=1.0
    )
    for rung in ("raw", "clip_bound", "spectral", "slope", "c_transform"):
        assert getattr(found, rung) == pytest.approx(exact.w1, rel=1e-9)
    by_potential = alignment(pair, exact.plan, gx, gy)
    assert by_potential.cosine == pytest.approx(1.0, rel=1e-12)
    assert (by_potential.gradient_l2, by_potential.gradient_l2_repaired) == (0.0, pytest.approx(0.0, abs=1e-15))
    np.testing.assert_allclose(np.einsum("nd,nd->n", gx, pair.x - pair.y), np.linalg.norm(pair.x - pair.y, axis=1))


@pytest.mark.parametrize(("dim", "funnels"), [(1, 1), (2, 64), (128, 16)])
@pytest.mark.parametrize("power", [2.0, 8.0])
def test_the_population_w1_is_the_mean_length_within_the_errors_of_both(dim, funnels, power):
    p = funnels_of(dim, funnels, power=power)
    pair = p.sample(20_000, mode="population")
    assert 0 < p.population_stderr < pair.coupled_stderr
    error = np.hypot(p.population_stderr, pair.coupled_stderr)
    assert abs(pair.coupled_w1 - p.population_w1) <= 4 * error


def test_the_population_w1_of_one_funnel_on_the_line_is_an_integral():
    p = funnels_of(1, 1)
    centre = np.random.default_rng([1, 1, 0]).uniform(-2.5, 2.5)
    ends = np.array([2.5 - centre, 2.5 + centre])
    assert abs(p.population_w1 - (ends**2).sum() / 5 * (1 / 2 - 1 / 9)) <= 4 * p.population_stderr


def test_own_pairs_are_known_by_dim_funnels_and_seed_whatever_the_map_does_with_them():
    one, other, seeded = funnels_of(3, 5), funnels_of(3, 5, power=2.0), funnels_of(3, 5, pair_seed=1)
    z = np.random.default_rng(0).uniform(-2.5, 2.5, (50, 3))
    assert np.array_equal(one.potential(z), other.potential(z))
    assert not np.allclose(one.potential(z), seeded.potential(z))


def test_a_pickled_problem_draws_the_same_points():
    one = funnels_of(3, 5)
    other = pickle.loads(pickle.dumps(one))  # noqa: S301
    assert other == one
    assert other.population_w1 == one.population_w1
    for here, there in zip(one.fresh(5, 6, 1, 2), other.fresh(5, 6, 1, 2), strict=True):
        assert here.tobytes() == there.tobytes()


class OffRay(FunnelMap):
    """Moves points a little sideways."""

    def move(self, y):
        return super().move(y) + 1e-8 * np.eye(1, y.shape[1])


class Steep(FunnelMap):
    """Falls faster than 1, and along rays too."""

    def potential(self, z):
        return (1 + 1e-6) * super().potential(z)

    def move(self, y):
        return y


@pytest.mark.parametrize(("kind", "text"), [(OffRay, "the map leaves its rays by"), (Steep, "is steeper than 1 by")])
def test_the_certificate_sees_a_map_off_its_rays_and_a_steep_potential(kind, text):
    sound = own_map(1, 2)
    _certify(sound)
    with pytest.raises(InputError, match=text):
        _certify(kind(sound.centres, sound.biases, 2.5, 8.0))
