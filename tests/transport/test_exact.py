"""The exact solver against independent routes, and its certificate against planted faults."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance, wasserstein_distance_nd

import otbench.transport.dense
from otbench.errors import InputError, OtbenchError, UncertifiedError
from otbench.transport.certificate import TOLERANCE, allowed_width
from otbench.transport.dense import check_dense_memory, cost_matrix
from otbench.transport.exact import solve_exact, verify_exact
from otbench.types import Plan

law = settings(max_examples=40, deadline=None)


@st.composite
def samples(draw, parts=2, most=40, dims=6, decades=9, weighted=True, equal=False):
    """``parts`` weighted samples of one scale: duplicates within and across, zero weights, single points."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dim, scale = draw(st.integers(1, dims)), 10.0 ** draw(st.integers(-decades, decades))
    lattice, zeros = draw(st.booleans()), draw(st.booleans())
    uniform, first = not weighted or draw(st.booleans()), draw(st.integers(1, most))
    made = []
    for k in range(parts):
        n = first if equal or k == 0 else draw(st.integers(1, most))
        points = rng.integers(-1, 2, (n, dim)) if lattice else rng.standard_normal((n, dim)) + 0.3 * k
        weights = None
        if not uniform:
            weights = rng.exponential(size=n) * (rng.random(n) < (0.6 if zeros else 1))
            weights[0] += weights.sum() == 0
            weights /= weights.sum()
        made.append((scale * points, weights))
    return scale, made


def w1(first, second):
    return solve_exact(first[0], second[0], first[1], second[1]).w1


def close(value, scale):
    return pytest.approx(value, rel=1e-9, abs=1e-9 * scale)


@given(samples())
@law
def test_any_solution_carries_a_certificate_that_holds(drawn):
    scale, ((x, a), (y, b)) = drawn
    s = solve_exact(x, y, a, b)
    a, b = (np.full(len(z), 1 / len(z)) if w is None else w for z, w in ((x, a), (y, b)))
    cost = cdist(x, y)
    plan = np.zeros_like(cost)
    np.add.at(plan, (s.plan.rows, s.plan.cols), s.plan.mass)
    assert plan.min() >= 0
    assert np.count_nonzero(plan) <= len(x) + len(y) - 1
    assert plan.sum(axis=1) == pytest.approx(a, abs=1e-12)
    assert plan.sum(axis=0) == pytest.approx(b, abs=1e-12)
    assert (plan * cost).sum() == close(s.w1, scale)
    assert a @ s.u + b @ s.v == close(s.w1, scale)
    assert (s.u[:, None] + s.v - cost).max() <= 1e-9 * scale
    assert s.lower <= s.w1 <= s.upper <= s.lower + allowed_width(s.w1, s.longest_move)
    assert s.marginal_error <= TOLERANCE


@given(samples(weighted=False, equal=True))
@law
def test_any_uniform_solution_of_equal_sizes_is_the_linear_assignment(drawn):
    scale, ((x, _), (y, _)) = drawn
    cost = cdist(x, y)
    assert solve_exact(x, y).w1 == close(cost[linear_sum_assignment(cost)].mean(), scale)


@given(samples(dims=1))
@law
def test_any_solution_on_the_line_is_that_of_the_distribution_functions(drawn):
    scale, ((x, a), (y, b)) = drawn
    assert solve_exact(x, y, a, b).w1 == close(wasserstein_distance(x[:, 0], y[:, 0], a, b), scale)


@given(samples(dims=1, weighted=False, equal=True))
@law
def test_any_uniform_solution_on_the_line_is_that_of_sorted_points(drawn):
    scale, ((x, _), (y, _)) = drawn
    assert solve_exact(x, y).w1 == close(abs(np.sort(x, axis=0) - np.sort(y, axis=0)).mean(), scale)


@given(samples(most=6, decades=0))
@law
def test_any_small_weighted_solution_is_that_of_the_linear_program(drawn):
    _, ((x, a), (y, b)) = drawn
    assert solve_exact(x, y, a, b).w1 == pytest.approx(wasserstein_distance_nd(x, y, a, b), abs=1e-7)


@given(samples(parts=3))
@law
def test_w1_is_symmetric_and_obeys_the_triangle(drawn):
    scale, (p, q, r) = drawn
    assert w1(p, q) == close(w1(q, p), scale)
    assert w1(p, r) <= w1(p, q) + w1(q, r) + 1e-9 * scale


@given(samples())
@law
def test_w1_of_a_sample_to_itself_is_zero(drawn):
    scale, (p, _) = drawn
    assert 0 <= w1(p, p) <= 1e-12 * scale


@given(samples())
@law
def test_splitting_an_atom_or_adding_one_of_no_weight_changes_nothing(drawn):
    scale, ((x, a), (y, b)) = drawn
    a = np.full(len(x), 1 / len(x)) if a is None else a
    expected = solve_exact(x, y, a, b).w1
    split = np.concatenate([a[:1] / 2, a[1:], a[:1] / 2])
    assert solve_exact(np.concatenate([x, x[:1]]), y, split, b).w1 == close(expected, scale)
    idle = solve_exact(np.concatenate([x, 5 * scale + x]), y, np.concatenate([a, 0 * a]), b)
    assert idle.w1 == close(expected, scale)


def test_the_potential_of_an_atom_without_weight_is_the_largest_feasible_one():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((9, 2)), rng.standard_normal((7, 2))
    a, b = np.full(9, 1 / 6), np.full(7, 1 / 5)
    a[[0, 4, 8]] = b[[2, 6]] = 0
    s, cost = solve_exact(x, y, a, b), cdist(x, y)
    assert (s.u[:, None] + s.v - cost).max() <= 1e-12
    assert s.u[a == 0] == pytest.approx((cost - s.v)[a == 0][:, b > 0].min(axis=1), abs=1e-12)
    assert s.v[b == 0] == pytest.approx((cost - s.u[:, None])[:, b == 0].min(axis=0), abs=1e-12)


@pytest.mark.parametrize("exponent", [-150, -40, -12, 12, 40, 150])
def test_data_of_any_spread_are_solved_as_well_as_data_of_spread_one(exponent):
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((60, 2)), rng.standard_normal((60, 2))
    cost = cdist(x, y)
    expected = 10.0**exponent * cost[linear_sum_assignment(cost)].mean()
    assert solve_exact(x * 10.0**exponent, y * 10.0**exponent).w1 == pytest.approx(expected, rel=1e-9)


@pytest.mark.filterwarnings("ignore:Problem infeasible:UserWarning")
@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e-160, 1e160, 1e300])
def test_data_whose_squares_overflow_or_underflow_are_solved_or_refused_never_misread(scale):
    try:
        value = solve_exact(np.array([[0.0], [1.0]]) * scale, np.array([[0.5], [1.5]]) * scale).w1
    except OtbenchError:
        return
    assert value == pytest.approx(0.5 * scale, rel=1e-9, abs=0)


@given(st.integers(0, 2**32 - 1), st.floats(-9, 0), st.integers(1, 6))
@law
def test_a_distance_much_smaller_than_its_points_is_read_to_the_last_digits(seed, exponent, dim):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((5, dim))
    y = x + 4 * 10.0**exponent * rng.standard_normal((5, dim))
    expected = [[math.dist(p, q) for q in y] for p in x]
    np.testing.assert_allclose(cost_matrix(x, y), expected, rtol=1e-15)
    assert (np.diag(cost_matrix(x, x)) == 0).all()


def test_a_distance_of_four_nanounits_is_read_as_such():
    x = np.array([[1.0, 0.5]])
    y = x + np.array([0.0, 4e-9])
    assert solve_exact(x, y).w1 == pytest.approx(float(y[0, 1] - x[0, 1]), rel=1e-15)


def solved():
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((20, 2)), 1 + rng.standard_normal((25, 2))
    return solve_exact(x, y), x, y


@given(samples())
@law
def test_verify_accepts_what_solve_returns(drawn):
    _, ((x, a), (y, b)) = drawn
    s = solve_exact(x, y, a, b)
    again = verify_exact(s, x, y, a, b)
    assert repr(again) == repr(s)
    without_plan = verify_exact(dataclasses.replace(s, plan=None), x, y, a, b)
    assert without_plan.w1 == s.w1


def first_is(value):
    return lambda part: np.concatenate([[value], part[1:]])


def fault(**changes):
    def plant(s):
        parts = {k: f(getattr(s, k)) for k, f in changes.items() if hasattr(s, k)}
        plan = {k: f(getattr(s.plan, k)) for k, f in changes.items() if not hasattr(s, k)}
        return dataclasses.replace(s, plan=dataclasses.replace(s.plan, **plan), **parts)

    return plant


FAULTS = {
    "a raised potential": fault(u=lambda u: u + 1e-6 * (np.arange(len(u)) == 3)),
    "a lowered potential": fault(v=lambda v: v - 1e-6 * (np.arange(len(v)) == 3)),
    "potentials scaled up": fault(u=lambda u: 2 * u, v=lambda v: 2 * v, w1=lambda w: 2 * w),
    "a larger value": fault(w1=lambda w: w * (1 + 1e-6)),
    "a smaller value": fault(w1=lambda w: w * (1 - 1e-6)),
    "NaN as value": fault(w1=lambda w: math.nan),
    "NaN in u": fault(u=first_is(np.nan)),
    "NaN in v": fault(v=first_is(np.nan)),
    "infinity in u": fault(u=first_is(-np.inf)),
    "more mass": fault(mass=lambda m: m * (1 + 1e-6)),
    "NaN as mass": fault(mass=first_is(np.nan)),
    "mass in other rows": fault(rows=lambda r: np.roll(r, 1)),
    "mass in other columns": fault(cols=lambda c: np.roll(c, 1)),
    "rows beyond the sample": fault(rows=lambda r: r + 20),
    "negative rows": fault(rows=lambda r: r - 20),
    "a plan of unequal lengths": fault(mass=lambda m: m[:-1]),
}


@pytest.mark.parametrize("plant", FAULTS.values(), ids=FAULTS.keys())
def test_verify_refuses_a_planted_fault(plant):
    s, x, y = solved()
    with pytest.raises(UncertifiedError, match="exact solution refused: ") as caught:
        verify_exact(plant(s), x, y)
    assert "\n" not in str(caught.value)


def test_verify_refuses_a_plan_of_negative_mass_that_reaches_a_value_below_w1():
    x, y = np.array([[0.0], [10.0]]), np.array([[1.0], [9.0]])
    extra = 1 / 16  # [[1, -1], [-1, 1]] costs -16 a unit and leaves the marginals alone; the optimum is 1
    plan = Plan(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([0.5, 0, 0, 0.5]) + extra * np.array(
        [1, -1, -1, 1]))  # fmt: skip
    nothing = dataclasses.replace(solve_exact(x, y), w1=0.0, u=np.zeros(2), v=np.zeros(2), plan=plan)
    with pytest.raises(UncertifiedError):
        verify_exact(nothing, x, y)


def test_verify_refuses_a_true_solution_of_other_samples():
    s, x, y = solved()
    with pytest.raises(UncertifiedError):
        verify_exact(s, x, y + 0.01)
    with pytest.raises(InputError, match="potentials of lengths 20 and 25 cannot prove a value on 19 "):
        verify_exact(s, x[1:], y)


GOOD = np.ones((3, 2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((0, 2)), GOOD), r"x must hold at least one point and one dimension; got \(0, 2\)"),
        ((GOOD, np.ones((2, 0))), r"y must hold at least one point and one dimension; got \(2, 0\)"),
        ((np.array([[1, 2], [np.nan, 1]]), GOOD), "x must be finite; row 1 holds NaN or infinity: drop"),
        ((GOOD, np.array([[np.inf, 2]])), "y must be finite; row 0 holds NaN or infinity: drop"),
        ((np.ones(3), GOOD), r"x must have shape \(points, dimensions\); got \(3,\): for points on"),
        ((GOOD, np.ones((2, 2, 2))), r"y must have shape \(points, dimensions\); got \(2, 2, 2\)"),
        ((GOOD, np.ones((3, 3))), "x and y must have the same dimension; got 2 and 3"),
        ((np.array([[{}, "a"]], dtype=object), GOOD), "x must be an array of real numbers; got ndarray"),
        (([[1, 2], [3]], GOOD), "x must be an array of real numbers; got list"),
        ((GOOD * 1j, GOOD), "x must be an array of real numbers"),
        ((GOOD, GOOD, [0.5, 0.75, -0.25]), "weights a must be finite and at least 0; found -0.25"),
        ((GOOD, GOOD, None, [0.5, 0.5, np.nan]), "weights b must be finite and at least 0; found nan"),
        ((GOOD, GOOD, [0.5, 0.5, 0.5]), "weights a must sum to 1; they sum to 1.5: divide them by their sum"),
        ((GOOD, GOOD, [0, 0, 0]), "weights a must sum to 1; they sum to 0"),
        ((GOOD, GOOD, None, [0.5, 0.5]), r"weights b must have shape \(3,\), one per point; got \(2,\)"),
        ((GOOD, GOOD, ["a", "b", "c"]), "weights a must be an array of real numbers; got list"),
    ],
)
def test_malformed_samples_are_refused_with_the_rule_and_what_came(arguments, message):
    with pytest.raises(InputError, match=message) as caught:
        solve_exact(*arguments)
    assert "\n" not in str(caught.value)


def test_a_solve_that_does_not_fit_in_memory_is_refused_before_anything_is_allocated():
    with pytest.raises(InputError, match=r"1000000 x 1000000 points needs 54016.7 GiB, .* GiB are free"):
        check_dense_memory(10**6, 10**6)
    million = np.broadcast_to(np.zeros((1, 1)), (10**6, 1))
    with pytest.raises(InputError, match="use smaller samples"):
        cost_matrix(million, million)


@pytest.mark.filterwarnings("ignore:numItermax reached:UserWarning")
def test_an_early_stop_of_the_solver_is_refused(monkeypatch):
    monkeypatch.setattr(otbench.transport.dense, "MAX_ITERATIONS", 100)
    x, y = np.random.default_rng(3).standard_normal((2, 300, 2))
    with pytest.raises(UncertifiedError, match=r"the solver's state is numItermax .*optimal") as caught:
        solve_exact(x, y)
    assert "\n" not in str(caught.value)
