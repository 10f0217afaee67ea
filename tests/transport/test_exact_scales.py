"""The exact side at every scale: any unit, any origin, far points and heavy tails, against exact arithmetic."""

import numpy as np
import pytest
from exact_arithmetic import assignment_w1, distance, encloses, weighted_w1
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from otbench.errors import UncertifiedError
from otbench.transport.dense import cost_matrix
from otbench.transport.exact import solve_exact, verify_exact

law = settings(max_examples=60, deadline=None)
seeds = st.integers(0, 2**32 - 1)
few, many = st.integers(1, 5), st.integers(2, 60)


def two(seed, n, dim=2):
    rng = np.random.default_rng(seed)
    return rng, rng.standard_normal((n, dim)), rng.standard_normal((n, dim)) + 0.5


def by_scipy(x, y):
    cost = cdist(x, y)
    return cost[linear_sum_assignment(cost)].mean()


@given(seeds, many, st.integers(-300, 300))
@law
def test_w1_is_homogeneous_over_six_hundred_decades(seed, n, decade):
    _, x, y = two(seed, n)
    scale = 10.0**decade
    found = solve_exact(scale * x, scale * y)
    assert found.w1 == pytest.approx(scale * by_scipy(x, y), rel=1e-12, abs=0)
    assert found.lower <= found.w1 <= found.upper <= found.lower + 1e-9 * found.w1


@given(seeds, many, st.integers(-900, 900))
@law
def test_a_unit_that_is_a_power_of_two_changes_no_bit(seed, n, exponent):
    _, x, y = two(seed, n)
    one, other = solve_exact(x, y), solve_exact(np.ldexp(x, exponent), np.ldexp(y, exponent))
    assert other.w1 == np.ldexp(one.w1, exponent)


@given(seeds, few, st.floats(0, 8), st.floats(-8, 0))
@law
def test_a_translated_pair_has_the_w1_of_its_rounded_points(seed, n, decade, spread):
    rng, x, y = two(seed, n)
    offset = 10.0**decade * rng.standard_normal(2)
    x, y = 10.0**spread * x + offset, 10.0**spread * y + offset
    assert encloses(solve_exact(x, y), assignment_w1(x, y))


@given(seeds, few, st.floats(3, 15), st.booleans())
@law
def test_one_far_atom_in_one_sample_or_both_costs_no_digit(seed, n, decade, both):
    _, x, y = two(seed, n)
    x[0] = 10.0**decade, 0
    if both:
        y[0] = 10.0**decade, 1
    assert encloses(solve_exact(x, y), assignment_w1(x, y))


@given(seeds, st.integers(2, 80), st.floats(3, 15), st.floats(-300, 280))
@law
def test_one_far_atom_in_both_samples_is_its_own_move_beside_the_others(seed, n, decade, unit):
    _, x, y = two(seed, n)
    x[0], y[0] = (10.0**decade, 0), (10.0**decade, 1)
    expected = ((n - 1) * by_scipy(x[1:], y[1:]) + 1) / n
    assert solve_exact(10.0**unit * x, 10.0**unit * y).w1 == pytest.approx(10.0**unit * expected, rel=1e-9, abs=0)


@given(seeds, st.integers(3, 40), st.integers(3, 40), st.floats(3, 15))
@law
def test_far_atoms_of_one_weight_beside_samples_of_any_weights_are_solved(seed, n, m, decade):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, 2)), rng.standard_normal((m, 2))
    a, b = (rng.multinomial(2**20, np.full(k, 1 / k)) / 2**21 for k in (n - 1, m - 1))
    x[0], y[0] = (10.0**decade, 0), (10.0**decade, 1)
    whole = solve_exact(x, y, [0.5, *a], [0.5, *b])
    rest = solve_exact(x[1:], y[1:], 2 * a, 2 * b)
    assert whole.w1 == pytest.approx(0.5 + 0.5 * rest.w1, rel=1e-9)


def heavy(kind, rng, n):
    if kind == "cauchy":
        return rng.standard_cauchy((n, 2))
    return np.exp(8 * rng.standard_normal((n, 2))) * rng.choice([-1, 1], (n, 2))


@given(seeds, few, st.sampled_from(["cauchy", "exponents of normals"]))
@law
def test_heavy_tails_are_solved_to_the_last_digits(seed, n, kind):
    rng = np.random.default_rng(seed)
    x, y = heavy(kind, rng, n), heavy(kind, rng, n)
    assert encloses(solve_exact(x, y), assignment_w1(x, y))


@given(seeds, st.integers(20, 120), st.sampled_from(["cauchy", "exponents of normals"]))
@law
def test_heavy_tails_agree_with_scipy(seed, n, kind):
    rng = np.random.default_rng(seed)
    x, y = heavy(kind, rng, n), heavy(kind, rng, n)
    assert solve_exact(x, y).w1 == pytest.approx(by_scipy(x, y), rel=1e-9)


@given(seeds, st.integers(2, 5), st.floats(0, 12), st.floats(-6, 0))
@law
def test_clusters_far_apart_that_move_a_little_are_told_from_those_that_stay(seed, n, decade, step):
    rng = np.random.default_rng(seed)
    x = 10.0**decade * rng.standard_normal((n, 2))
    y = (x + 10.0**step * rng.standard_normal((n, 2)))[rng.permutation(n)]
    assert encloses(solve_exact(x, y), assignment_w1(x, y))


@given(seeds, st.integers(1, 4), st.integers(1, 4), st.floats(0, 12), st.booleans())
@law
def test_weighted_samples_of_unequal_sizes_with_zeros_and_duplicates_are_enclosed(seed, n, m, decade, lattice):
    rng = np.random.default_rng(seed)
    x, y = (rng.integers(0, 2, (k, 2)) if lattice else rng.standard_normal((k, 2)) for k in (n, m))
    x, y = x.astype(float), y.astype(float)
    x[0, 0] *= 10.0**decade
    parts = [rng.multinomial(4, np.full(k, 1 / k)) for k in (n, m)]
    solution = solve_exact(x, y, parts[0] / 4, parts[1] / 4)
    assert encloses(solution, weighted_w1(x, y, *parts))


@given(seeds, st.integers(1, 30), st.integers(-300, 290), st.booleans(), st.booleans())
@law
def test_identical_samples_are_certified_at_zero_in_any_order_unit_and_weights(seed, n, decade, far, twice):
    rng = np.random.default_rng(seed)
    x, a = 10.0**decade * rng.standard_normal((n, 2)), rng.exponential(size=n)
    x[0] *= 1e10 if far else 1
    if twice:
        x, a = np.concatenate([x, x]), np.concatenate([a, 0.3 * a])
    order = rng.permutation(len(x))
    found = solve_exact(x, x[order], a / a.sum(), (a / a.sum())[order])
    assert found.lower == 0
    assert found.w1 <= found.upper <= 16 * 2.0**-52 * found.longest_move
    assert solve_exact(x, x[order]).w1 == 0


def test_points_that_are_all_equal_are_at_distance_zero():
    found = solve_exact(np.full((4, 3), 1e14), np.full((7, 3), 1e14))
    assert (found.w1, found.lower, found.upper, found.longest_move) == (0, 0, 0, 0)


@given(seeds, st.integers(1, 30), st.integers(1, 30), st.floats(0, 15))
@law
def test_whatever_the_weights_a_far_pair_is_solved_or_refused_in_one_line(seed, n, m, decade):
    """Weights of the pair that differ in the last place send that much mass 1e15 away: float64 cannot tell W1."""
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, 2)), rng.standard_normal((m, 2))
    x[0], y[0] = (10.0**decade, 0), (10.0**decade, 1)
    a, b = (w / w.sum() for w in (rng.exponential(size=n), rng.exponential(size=m)))
    text, found = "", None
    try:
        found = solve_exact(x, y, a, b)
    except UncertifiedError as error:
        text = str(error)
    if found is not None:
        assert verify_exact(found, x, y, a, b).w1 == found.w1
    else:
        assert decade > 3
        assert "around W1 is" in text
        assert "take points that both samples hold out of both" in text
        assert "\n" not in text


def test_taking_the_shared_far_point_out_helps_as_the_refusal_says():
    x, y = np.random.default_rng(0).standard_normal((2, 9, 2))
    x[0] = y[0] = 1e15, 0
    a, b = np.full(9, 1 / 9), np.full(9, 1 / 9)
    a[0] += 1e-15  # 1 unit of mass more than b's: it costs 1 to move it away
    with pytest.raises(UncertifiedError, match="take points that both samples hold out of both"):
        solve_exact(x, y, a / a.sum(), b)
    assert solve_exact(x[1:], y[1:]).w1 == pytest.approx(by_scipy(x[1:], y[1:]), rel=1e-12)


def test_distances_are_right_to_the_last_digits_where_squares_leave_float64():
    x, y = np.array([[1e-200, 0], [3e200, 4e200]]), np.array([[3e-200, 0], [0, 0]])
    for i, j in np.ndindex(2, 2):
        assert cost_matrix(x, y)[i, j] == pytest.approx(float(distance(x[i], y[j])), rel=1e-15, abs=0)
