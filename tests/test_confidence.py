"""Confidence bounds of the laws' W1 against scipy's tests, against closed forms, and by the laws they obey."""

import numpy as np
import pytest
from scipy import stats

from otbench.confidence import HeldOut, held_out, lower_confidence, upper_confidence
from otbench.errors import InputError


def uniform(count: int) -> np.ndarray:
    return np.full(count, 1 / count)


def said(fx: np.ndarray, fy: np.ndarray) -> HeldOut:
    return held_out(fx, fy, uniform(len(fx)), uniform(len(fy)), 0.0)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (2, 50), (7, 3), (400, 30)])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.995])
def test_the_lower_bound_is_welchs(n: int, m: int, level: float) -> None:
    rng = np.random.default_rng(n + m)
    fx, fy = rng.normal(3, 1, n), rng.normal(1, 5, m)
    test = stats.ttest_ind(fx, fy, equal_var=False, alternative="greater")
    found = said(fx, fy)
    assert found.dof == pytest.approx(test.df, rel=1e-9)
    assert (found.stderr_x, found.stderr_y) == pytest.approx((stats.sem(fx), stats.sem(fy)), rel=1e-9)
    assert found.stderr == pytest.approx(np.hypot(found.stderr_x, found.stderr_y), rel=1e-12)
    assert found.lower_bound(4.0, level) == pytest.approx(test.confidence_interval(level).low / 4, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("k", [2, 3, 5, 40])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.995])
def test_the_upper_bound_is_students(k: int, level: float) -> None:
    values = np.random.default_rng(k).normal(2, 1, k)
    test = stats.ttest_1samp(values, 0.0, alternative="less")
    assert upper_confidence(values, level) == pytest.approx(test.confidence_interval(level).high, rel=1e-12)


def test_bounds_scale_with_the_critic_and_not_with_its_origin() -> None:
    rng = np.random.default_rng(0)
    fx, fy = rng.normal(1, 1, 30), rng.normal(0, 2, 20)
    one, other = said(fx, fy), said(7 * fx + 1e6, 7 * fy + 1e6)
    assert other.lower_bound(7.0) == pytest.approx(one.lower_bound(1.0), rel=1e-6)
    assert other.stderr == pytest.approx(7 * one.stderr, rel=1e-6)


@pytest.mark.parametrize(("n", "m"), [(3, 40), (40, 3), (8, 9)])
def test_samples_that_change_places_change_the_sign_and_nothing_else(n: int, m: int) -> None:
    """The two sides differ in size, weights, spread and in how large their values are: 256 units of the larger ones."""
    rng = np.random.default_rng(n)
    fx, fy = rng.normal(3, 1, n), rng.normal(-800, 5, m)
    a, b = (weights / weights.sum() for weights in (rng.uniform(1, 2, n), rng.uniform(1, 3, m)))
    one, other = held_out(fx, fy, a, b, 256 * 2.0**-52), held_out(fy, fx, b, a, 256 * 2.0**-52)
    assert one.raw == pytest.approx(-other.raw, rel=1e-12)
    assert (one.stderr, one.dof) == pytest.approx((other.stderr, other.dof), rel=1e-9)
    assert one.raw_error == other.raw_error == 256 * 2.0**-52 * np.abs(fy).max()


def test_a_weighted_mean_has_the_variance_of_its_effective_number_of_points() -> None:
    """Weights of importance: over many draws the spread of the estimate is its standard error."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(2000):
        fx, fy, weights = rng.normal(size=40), rng.normal(size=60), rng.exponential(size=40)
        found.append(held_out(fx, fy, weights / weights.sum(), uniform(60), 0.0))
    spread = np.std([each.raw for each in found])
    assert np.sqrt(np.mean([each.stderr**2 for each in found])) == pytest.approx(spread, rel=0.06)
    size = 1 / np.mean([np.sum((w / w.sum()) ** 2) for w in [rng.exponential(size=40) for _ in range(500)]])
    assert spread**2 == pytest.approx(1 / size + 1 / 60, rel=0.1)


def test_points_without_mass_say_nothing() -> None:
    fx, fy = np.array([1.0, 2.0, 4.0]), np.array([0.0, 1.0])
    one = held_out(fx, fy, uniform(3), uniform(2), 0.0)
    more = held_out(np.append(fx, 1e9), fy, np.append(uniform(3), 0.0), uniform(2), 0.0)
    assert (more.raw, more.stderr, more.dof) == pytest.approx((one.raw, one.stderr, one.dof), rel=1e-12)


def test_a_constant_critic_proves_nothing_and_rounding_is_no_proof() -> None:
    flat = said(np.full(9, 0.3), np.full(5, 0.3))
    assert (flat.raw, flat.stderr, flat.lower_bound(0.0), flat.lower_bound(1.0)) == (0.0, 0.0, 0.0, 0.0)
    noise = 0.3 + 1e-17 * np.arange(9)
    rounded = held_out(noise, np.full(5, 0.3), uniform(9), uniform(5), 1e-13)
    assert rounded.raw_error == pytest.approx(3e-14)
    assert rounded.lower_bound(1e-18) < 0


def test_bounds_take_columns_and_say_nothing_where_no_constant_is_known() -> None:
    found = lower_confidence(np.array([1.0, 1.0, 1.0]), np.zeros(3), np.full(3, 9.0), np.array([2.0, 0.0, np.nan]))
    assert found[:2].tolist() == [0.5, 0.0]
    assert np.isnan(found[2])


@pytest.mark.parametrize("values", [[], [1.0], [[1.0, 2.0]]])
def test_an_upper_bound_needs_two_values(values: list[float]) -> None:
    with pytest.raises(InputError, match="at least 2 independent values of W1"):
        upper_confidence(values)


@pytest.mark.parametrize(
    ("a", "b", "count"),
    [([1.0], [0.5, 0.5], "1"), ([0.5, 0.5], [1.0], "1"), ([1.0, 0.0], [0.5, 0.5], "1"),
     ([0.9, 0.1], [0.5, 0.5], "1.22")],
)
def test_of_one_point_no_spread_can_be_told(a: list[float], b: list[float], count: str) -> None:
    fx, fy = np.arange(len(a), dtype=float), np.arange(len(b), dtype=float)
    with pytest.raises(InputError, match=f"weigh as 2 equal ones at least, on each side; got {count}"):
        held_out(fx, fy, np.array(a), np.array(b), 0.0)
    assert np.isfinite(held_out(np.arange(2.0), np.arange(2.0), uniform(2), uniform(2), 0.0).lower_bound(1.0))
