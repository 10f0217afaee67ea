"""A minimum of funnels by matrix products: the funnel that differences find, wherever the points lie."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from otbench.problems.min_funnel import MinFunnel
from otbench.transport.exact import solve_exact

#: How far from the origin points lie, and from each other: products of the last overflow, squared differences do not.
PLACES = [(0.0, 1.0), (1e6, 1.0), (-1e12, 1.0), (0.0, 1e-140), (1.2e154, 1e150)]


@pytest.mark.parametrize(("offset", "scale"), PLACES)
@pytest.mark.parametrize(("dim", "funnels"), [(1, 5), (3, 40), (200, 300)])
def test_values_and_gradients_are_those_of_the_lowest_difference(dim, funnels, offset, scale):
    rng, offset = np.random.default_rng(dim), offset / dim**0.5
    built = MinFunnel(offset + scale * rng.random((funnels, dim)), scale * 0.1 * rng.standard_normal(funnels))
    z = offset + scale * rng.random((500, dim))
    every = cdist(z, built.centres) + built.biases
    active = every.argmin(axis=1)
    u, gradient = built.potential_and_gradient(z)
    np.testing.assert_allclose(u, every.min(axis=1), rtol=1e-13, atol=1e-13 * scale)
    assert np.array_equal(built.potential(z), u)
    assert np.array_equal(built.gradient(z), gradient)
    rays = z - built.centres[active]
    alone = np.sort(every, axis=1)[:, 1] > every.min(axis=1) + 1e-12 * scale  # ties have several gradients
    lengths = np.linalg.norm(rays, axis=1, keepdims=True)
    np.testing.assert_allclose(gradient[alone], (rays / lengths)[alone], rtol=0, atol=1e-14)


def test_funnels_that_tie_at_a_sample_are_told_as_differences_tell_them():
    """Exact potentials tie wherever mass of one point goes to two: the lowest value is found among the ties."""
    rng = np.random.default_rng(0)
    x, y = rng.random((150, 50)), rng.random((100, 50))
    exact = solve_exact(x, y)
    u = MinFunnel(y, -exact.v).potential(x)
    np.testing.assert_allclose(u, (cdist(x, y) - exact.v).min(axis=1), rtol=0, atol=1e-14)
    np.testing.assert_allclose(u, exact.u, rtol=0, atol=1e-12)


def test_no_points_have_no_values():
    built = MinFunnel(np.ones((3, 2)), np.zeros(3))
    assert built.potential(np.empty((0, 2))).shape == (0,)
    assert built.gradient(np.empty((0, 2))).shape == (0, 2)
