"""otbench.monitor: never above W1 of the two batches, never NaN, whatever batches and values a training loop has."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist
from two_batches import batch, w1

import otbench
from otbench.transport import monitoring
from otbench.types import Array


def by_hand(fx: Array, fy: Array, x: Array, y: Array) -> float:
    """|raw| over the largest slope in its direction, over pairs that have a distance."""
    raw = fx.mean() - fy.mean()
    rises, distances = np.sign(raw) * (fx[:, None] - fy), cdist(x, y)
    return float(abs(raw) / (rises[distances > 0] / distances[distances > 0]).max())


#: Coordinates and values that repeat, so that points and values coincide, and whole ranges of float64.
COARSE = st.sampled_from([-2.0, -0.0, 0.0, 0.5, 1.0, 1.0 + 2**-52, 3.0])
FAR = st.one_of(COARSE, st.floats(-1e300, 1e300), st.floats(-1e-300, 1e-300), st.floats(-10, 10, width=16))


@st.composite
def batches(draw: Any, numbers: st.SearchStrategy[float]) -> tuple[Array, Array, Array, Array]:
    n, dim = draw(st.integers(1, 7)), draw(st.integers(1, 4))
    points, values = arrays(float, (n, dim), elements=numbers), arrays(float, n, elements=numbers)
    return draw(values), draw(values), draw(points), draw(points)


@given(batches(st.one_of(COARSE, st.floats(-10, 10))))
def test_the_bound_is_never_above_w1_of_the_two_batches(drawn: tuple[Array, Array, Array, Array]) -> None:
    found = otbench.monitor(*drawn)
    truth = w1(*drawn[2:])
    assert 0 <= found.bound <= truth * (1 + 1e-12)
    assert float(found) == found.bound
    assert found.sign == (-1 if found.raw < 0 else 1)


@given(batches(FAR))
def test_no_finite_input_gives_nan_or_a_bound_above_the_largest_distance(
    drawn: tuple[Array, Array, Array, Array]
) -> None:
    found = otbench.monitor(*drawn)
    assert not any(np.isnan([found.bound, found.raw, found.slope]))
    assert 0 <= found.bound < np.inf
    x, y = drawn[2] / 2, drawn[3] / 2
    with np.errstate(over="ignore"):
        size = max(np.abs(x).max(), np.abs(y).max())
        if size > 1e-280:
            assert found.bound / 2 <= w1(x / size, y / size) * size * (1 + 1e-12) + 1e-290 * size


@given(batches(st.floats(-10, 10)), st.integers(-900, 900), st.integers(-900, 900))
def test_it_is_homogeneous_in_the_points_and_blind_to_the_scale_of_the_critic(
    drawn: tuple[Array, Array, Array, Array], of_points: int, of_values: int
) -> None:
    fx, fy, x, y = (np.round(array, 3) for array in drawn)
    points = np.ldexp(x, of_points), np.ldexp(y, of_points)
    found = otbench.monitor(np.ldexp(fx, of_values), np.ldexp(fy, of_values), *points)
    assert found.bound == pytest.approx(np.ldexp(otbench.monitor(fx, fy, x, y).bound, of_points), rel=1e-12)


@given(batches(COARSE), st.randoms(use_true_random=False))
def test_the_order_of_a_batch_changes_no_bit(drawn: tuple[Array, Array, Array, Array], random: Any) -> None:
    fx, fy, x, y = drawn
    i, j = (random.sample(range(len(x)), len(x)) for _ in range(2))
    assert otbench.monitor(fx[i], fy[j], x[i], y[j]) == otbench.monitor(fx, fy, x, y)


@given(batches(COARSE))
def test_the_turned_critic_and_the_exchanged_batches_prove_the_same(drawn: tuple[Array, Array, Array, Array]) -> None:
    fx, fy, x, y = drawn
    straight, turned, exchanged = (
        otbench.monitor(fx, fy, x, y), otbench.monitor(-fx, -fy, x, y), otbench.monitor(fy, fx, y, x)
    )  # fmt: skip
    assert straight.bound == turned.bound == exchanged.bound
    assert straight.raw == -turned.raw == -exchanged.raw


@pytest.mark.parametrize("size", [1, 29, 30, 31, 60, 899, 900, 901])
def test_the_size_of_blocks_changes_no_bit(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = batch(1)
    whole = otbench.monitor(*drawn)
    monkeypatch.setattr(monitoring, "PRODUCTS_AT_ONCE", size)
    monkeypatch.setattr(monitoring, "DIFFERENCES_AT_ONCE", size)
    assert otbench.monitor(*drawn) == whole


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 9), (7, 30), (1500, 900)])
@pytest.mark.parametrize("dim", [1, 3, 100])
def test_it_is_the_slope_rung_of_the_audit(n: int, m: int, dim: int) -> None:
    drawn = batch(2, n, m, dim)
    assert otbench.monitor(*drawn).bound == pytest.approx(by_hand(*drawn), rel=1e-11)


def test_a_linear_critic_proves_a_translation_wholly_and_not_a_bit_more() -> None:
    rng = np.random.default_rng(3)
    x = rng.integers(-1000, 1000, (200, 40)).astype(float)
    y = x - np.eye(40)[0]
    found = otbench.monitor(x[:, 0], y[:, 0], x, y)
    assert 1 - 1e-13 < found.bound <= 1  # every pair (x_i, y_i) is as steep as any: all are candidates
    assert found.slope == found.raw == 1


@pytest.mark.parametrize("offset", [1e8, -1e12])
def test_a_far_common_offset_does_not_blur_distances(offset: float) -> None:
    fx, fy, x, y = batch(4)
    x, y = np.round(x, 3), np.round(y, 3)
    there = np.round(x + offset, 3), np.round(y + offset, 3)
    assert otbench.monitor(fx, fy, *there).bound == pytest.approx(by_hand(fx, fy, *there), rel=1e-11)


@pytest.mark.parametrize("apart", [1e4, 1e8, 1e12])
def test_close_pairs_far_from_the_others_are_as_steep_as_they_are(apart: float) -> None:
    fx, fy, x, y = batch(17)
    x[1::2] += apart
    y[1::2] = x[1::2] + 2 * np.spacing(apart) * np.arange(5)  # the expansions of these squares are all rounding
    fy[1::2] = fx[1::2]
    for k in range(1, 30, 2):
        fall = np.where(np.arange(30) == k, fy - 1, fy)
        found = otbench.monitor(fx, fall, x, y)
        assert found.slope == pytest.approx(1 / np.linalg.norm(x[k] - y[k]), rel=1e-11)
        assert found.bound == pytest.approx(by_hand(fx, fall, x, y), rel=1e-11)


def test_rounding_never_lifts_the_bound_above_w1_by_a_bit() -> None:
    for rise in np.random.default_rng(18).integers(1, 2**50, 300):
        assert otbench.monitor([float(rise)], [0.0], [[3.0, 4.0]], [[0.0, 0.0]]).bound <= 5


@pytest.mark.parametrize("far", [1e3, 1e15, 1e200])
def test_one_far_point_does_not_hide_the_others(far: float) -> None:
    fx, fy, x, y = batch(5)
    x[0] = far
    assert otbench.monitor(fx, fy, x, y).bound == pytest.approx(by_hand(fx, fy, x, y), rel=1e-11)


def test_close_points_are_not_coincident_ones() -> None:
    x, y = np.array([[1.0], [5.0]]), np.array([[1.0 + 2**-52], [7.0]])
    found = otbench.monitor([1.0, 0.0], [0.0, 0.0], x, y)
    assert found.slope == 2.0**52
    assert found.bound == pytest.approx(0.5 * 2**-52)


@pytest.mark.parametrize("far", [1.0, 1e10])
def test_distances_whose_squares_underflow_beside_a_far_point_prove_no_more_than_w1(far: float) -> None:
    """The far point is in both batches and moves nothing; of the near ones 1e-162 goes from 1 to 2."""
    x = np.array([3e-162, 1e-162, far, far])[:, None]
    y = np.array([2e-162, 3e-162, far, far])[:, None]
    found = otbench.monitor([1.47, -0.92, 0.04, 1.56], [0.0, 0.0, 1.0, 1.0], x, y)
    assert 0 <= found.bound <= 2.5e-163


def test_every_pair_is_looked_at() -> None:
    """A single steep pair, wherever it stands, sets the slope."""
    x, y = np.arange(6.0)[:, None], np.arange(6.0)[:, None] + 0.25
    for i, j in itertools.product(range(6), range(6)):
        fx, fy = np.zeros(6), np.zeros(6)
        fx[i] = 1.0
        fy[j] = -1.0
        slope = (np.subtract.outer(fx, fy) / cdist(x, y)).max()
        assert otbench.monitor(fx, fy, x, y).slope == pytest.approx(slope, rel=1e-13)


# what batches have in common -----------------------------------------------------------------------------------------


def test_equal_batches_prove_nothing_in_whatever_order() -> None:
    x = np.random.default_rng(6).standard_normal((50, 8))
    f = x.sum(axis=1) * 0.1
    order = np.random.default_rng(7).permutation(50)
    assert otbench.monitor(f, f[order], x, x[order]).bound == 0
    assert otbench.monitor(f, np.repeat(f, 3), x, np.repeat(x, 3, axis=0)).bound == 0


def test_a_point_in_both_batches_has_one_value_though_two_were_handed_in() -> None:
    fx, fy, x, y = batch(8)
    y[:8], fy[:8] = x[:8], fx[:8]
    clean = otbench.monitor(fx, fy, x, y)
    noise = 1e-7 * np.random.default_rng(9).standard_normal(8)
    noisy = np.concatenate([fy[:8] + noise, fy[8:]])
    assert clean.bound == pytest.approx(by_hand(fx, fy, x, y), rel=1e-11)
    assert otbench.monitor(fx, noisy, x, y).bound == pytest.approx(clean.bound, rel=1e-5)


def test_minus_zero_is_zero() -> None:
    x, y = np.array([[0.0, 1.0], [2.0, 2.0]]), np.array([[-0.0, 1.0], [5.0, 6.0]])
    found = otbench.monitor([1.0, 3.0], [1.0 - 2**-30, 0.0], x, y)
    assert found.bound == pytest.approx(otbench.monitor([1.0, 3.0], [1.0, 0.0], x, y).bound, rel=1e-8)
    assert found.bound > 1


def test_images_that_differ_in_one_pixel_are_two_points() -> None:
    rng = np.random.default_rng(10)
    x = rng.random((6, 1, 28, 28))
    for row, column in ((13, 11), (13, 12), (0, 0), (27, 27)):
        y = x.copy()
        y[:, 0, row, column] += 1
        found = otbench.monitor(x[:, 0, row, column], y[:, 0, row, column], x, y)
        assert (found.sign, found.bound) == (-1, pytest.approx(1, rel=1e-12))


def test_a_value_that_noise_drew_twice_at_one_point_proves_no_more_than_w1() -> None:
    rng = np.random.default_rng(11)
    for _ in range(50):
        x, y = (rng.integers(0, 2, (6, 2)).astype(float) for _ in range(2))
        assert otbench.monitor(rng.random(6), rng.random(6), x, y).bound <= w1(x, y) * (1 + 1e-12)


@pytest.mark.parametrize("value", [0.1, 1e300, -5e-324, 0.0])
def test_a_constant_critic_proves_nothing(value: float) -> None:
    _, _, x, y = batch(12, 30, 19)
    assert otbench.monitor(np.full(30, value), np.full(19, value), x, y) == monitoring.BatchBound(0.0, 0.0, 0.0, 1)
