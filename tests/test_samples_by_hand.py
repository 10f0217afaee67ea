"""What is said of two weighted samples before anything is solved, point by point: moments, overlap, couplings, rays."""

import math

import numpy as np
import pytest

from otbench.types import SamplePair, moments


def weighted() -> SamplePair:
    """Samples of unlike sizes and weights, two points of which are in both; T(x_i) and the rays are known."""
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((7, 3)), 1.0 + rng.standard_normal((5, 3))
    x[3] = x[5]  # one place, two atoms
    y[1], y[4] = x[3], x[0]
    a, b = rng.uniform(0.5, 2.0, 7), rng.uniform(0.5, 2.0, 5)
    a[2] = b[3] = 0.0
    images = x - rng.standard_normal((7, 3))
    rays = (x - images) / np.linalg.norm(x - images, axis=1)[:, None] + 0.3 * rng.standard_normal((7, 3))
    rays[1] = 0.0
    return SamplePair(x, y, a / a.sum(), b / b.sum(), images=images, rays=rays)


PAIR = weighted()


def test_the_moments_are_those_of_the_mass() -> None:
    means, squares = [], 0.0
    for points, weights in ((PAIR.x, PAIR.a), (PAIR.y, PAIR.b)):
        mean = sum(w * p for p, w in zip(points, weights, strict=True))
        squares += sum(w * float(np.sum((p - mean) ** 2)) for p, w in zip(points, weights, strict=True))
        means.append(mean)
    difference = means[0] - means[1]
    found = moments(PAIR)
    assert found["shift"] == pytest.approx(math.sqrt(sum(d * d for d in difference)))
    assert found["shift_l1"] == pytest.approx(sum(abs(d) for d in difference))
    assert found["spread"] == pytest.approx(math.sqrt(squares / 2))
    assert set(found) == {"shift", "shift_l1", "spread"}


def test_the_mass_in_common_is_the_smaller_one_place_by_place() -> None:
    a, b = PAIR.a, PAIR.b
    assert PAIR.coincident() == pytest.approx(min(a[3] + a[5], b[1]) + min(a[0], b[4]))
    assert SamplePair(PAIR.x, PAIR.x, a, a).coincident() == pytest.approx(1.0)
    assert SamplePair(PAIR.x, PAIR.x + 50.0).coincident() == 0.0


def test_a_coupling_tells_its_cost_how_sure_it_is_and_how_well_the_rays_point_along_it() -> None:
    assert PAIR.images is not None
    assert PAIR.rays is not None
    moves = [x - image for x, image in zip(PAIR.x, PAIR.images, strict=True)]
    lengths = [float(np.linalg.norm(move)) for move in moves]
    mean = sum(a * length for a, length in zip(PAIR.a, lengths, strict=True))
    assert PAIR.coupled_w1 == pytest.approx(mean)
    variance = sum((a * (length - mean)) ** 2 for a, length in zip(PAIR.a, lengths, strict=True))
    assert PAIR.coupled_stderr == pytest.approx(math.sqrt(variance))
    along = sum(a * float(ray @ move) for a, ray, move in zip(PAIR.a, PAIR.rays, moves, strict=True))
    most = sum(a * float(np.linalg.norm(ray)) * length
               for a, ray, length in zip(PAIR.a, PAIR.rays, lengths, strict=True))  # fmt: skip
    assert PAIR.ray_cosine == pytest.approx(along / most)
    assert 0.5 < along / most < 1.0
    still = SamplePair(PAIR.x, PAIR.y, PAIR.a, PAIR.b, images=PAIR.x, rays=PAIR.rays)
    assert (still.coupled_w1, still.coupled_stderr, still.ray_cosine) == (0.0, 0.0, None)
    unknown = SamplePair(PAIR.x, PAIR.y, PAIR.a, PAIR.b)
    assert (unknown.coupled_w1, unknown.coupled_stderr, unknown.ray_cosine) == (None, None, None)
