"""The interval around W1: what potentials prove, what a plan proves, and what is refused just beyond the bound."""

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest
from exact_arithmetic import assignment_w1
from hypothesis import given, settings
from hypothesis import strategies as st

from otbench.errors import InputError, UncertifiedError
from otbench.transport.certificate import TOLERANCE, ULP, ULPS, allowed_width, certify, from_above, from_below
from otbench.transport.dense import cost_matrix
from otbench.transport.exact import solve_exact, verify_exact
from otbench.transport.forest import rebuilt
from otbench.types import Plan

law = settings(max_examples=60, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def uniform(n):
    return np.full(n, 1 / n)


def plan_of(matrix):
    rows, cols = np.nonzero(matrix)
    return Plan(rows, cols, matrix[rows, cols])


@given(seeds, st.integers(1, 5), st.floats(-3, 3), st.floats(-3, 12))
@law
def test_any_potentials_and_any_masses_enclose_the_true_value(seed, n, size, spread):
    rng = np.random.default_rng(seed)
    x, y = 10.0**spread * rng.standard_normal((2, n, 2))
    cost, truth = cost_matrix(x, y), assignment_w1(x, y)
    u, v = 10.0**size * rng.standard_normal((2, n))
    below = from_below(cost, uniform(n), uniform(n), u, v)
    mass = rng.exponential(size=(n, n)) * (rng.random((n, n)) < 0.5)
    above = from_above(cost, uniform(n), uniform(n), plan_of(mass), below.largest)
    rounding = Fraction(8, 2**52)
    assert Fraction(below.lower) * (1 - rounding) <= truth <= Fraction(above.upper) * (1 + rounding)


@given(seeds, st.integers(2, 5), st.floats(-9, -1))
@law
def test_feasible_potentials_made_too_large_prove_no_more_than_w1(seed, n, size):
    """Repair column by column pays for what is violated: never more than the truth, and within what was violated."""
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((2, n, 2))
    found = solve_exact(x, y)
    bent = found.u + 10.0**size * rng.random(n)
    below = from_below(cost_matrix(x, y), uniform(n), uniform(n), bent, found.v)
    assert found.w1 - 10.0**size <= below.lower <= found.w1 * (1 + 1e-14)
    assert below.violation <= 1.01 * 10.0**size


def test_the_sums_are_added_exactly_where_large_potentials_cancel():
    """a.u + b.v = 1e16 + 0.25 - 1e16: added one after another the quarter is lost."""
    cost = np.array([[1e17, 1e17], [1e17, 1e17]])
    below = from_below(cost, np.array([0.5, 0.5]), np.array([0.5, 0.5]), np.array([2e16, 0.5]), np.array([-2e16, 0.0]))
    assert below.value == 0.25
    assert below.lower == 0  # and yet each product may be wrong by 1


def astray(mass, column):
    """Two points a side, the diagonal plan; so much mass of (0, 0) goes from row 1 instead, or to column 1."""
    x, y = np.array([[0.0], [1.0]]), np.array([[0.25], [1.25]])
    plan = np.array([[0.5 - mass, mass if column else 0.0], [0.0 if column else mass, 0.5]])
    return dataclasses.replace(solve_exact(x, y), plan=plan_of(plan), w1=0.25), x, y


@pytest.mark.parametrize(("column", "own"), [(False, 0.5), (True, 1.0)])
def test_wrong_marginals_just_inside_the_bound_pass_and_just_beyond_are_refused(column, own):
    """The plan is dearer by 0.5 or 1 a mass, rows or columns are wrong by 2 in all, half of it paid at 1.25; W1 is
    0.25, so that the bound is at 2.5e-10."""
    inside, x, y = astray(0.99 * 2.5e-10 / (own + 1.25), column)
    assert verify_exact(inside, x, y).upper - 0.25 == pytest.approx(0.99 * 2.5e-10, rel=1e-4)
    beyond, x, y = astray(1.01 * 2.5e-10 / (own + 1.25), column)
    with pytest.raises(UncertifiedError, match=r"the interval \[0.25, 0.25\d*\] around W1 is 2.5\de-10 wide, must"):
        verify_exact(beyond, x, y)


def light(error):
    """An atom of weight 1e-5 whose own move is as short as the others', a share ``error`` of it not served."""
    x, y = np.array([[0.0], [1.0]]), np.array([[0.25], [1.25]])
    weights = np.array([1 - 1e-5, 1e-5])
    solution = solve_exact(x, y, weights, weights)
    mass = solution.plan.mass * np.array([1, 1 - error])
    return dataclasses.replace(solution, plan=dataclasses.replace(solution.plan, mass=mass)), x, y, weights, weights


def test_marginal_errors_are_judged_against_the_atoms_own_mass():
    """Of the whole mass 2e-14 is missing: the interval hardly feels it, the atom misses 2e-9 of its own."""
    verify_exact(*light(0.9e-9))
    with pytest.raises(UncertifiedError, match="marginal error is 2e-09, must be 1e-09 or less"):
        verify_exact(*light(2e-9))


def test_the_price_of_wrong_marginals_is_reached():
    """No plan completes this one for less: all of the missing mass must go to the far end."""
    cost = np.array([[1.0, 9.0], [9.0, 1.0]])
    plan = plan_of(np.array([[0.5, 0.0], [0.0, 0.0]]))
    above = from_above(cost, uniform(2), uniform(2), plan, 9.0)
    assert above.upper == pytest.approx(0.5 + 0.5 * 1.0)  # the second row and column alone have room
    crossed = plan_of(np.array([[0.0, 0.5], [0.0, 0.0]]))
    assert from_above(cost, uniform(2), uniform(2), crossed, 9.0).upper == pytest.approx(4.5 + 4.5)


def test_a_far_point_with_right_marginals_does_not_price_the_errors_of_others():
    x, y = np.array([[1e15], [0.0], [1.0]]), np.array([[1e15], [0.5], [1.5]])
    mass = np.diag([0.5, 0.25, 0.25 * (1 - 1e-12)])
    cost, weights = cost_matrix(x, y), np.array([0.5, 0.25, 0.25])
    above = from_above(cost, weights, weights, plan_of(mass), float(cost.max()))
    assert above.upper == pytest.approx(0.25, rel=1e-11)


def test_a_wrong_plan_and_wrong_potentials_are_refused_with_the_interval():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 12, 2))
    right = solve_exact(x, y)
    wrong = dataclasses.replace(right.plan, cols=np.roll(right.plan.cols, 1))
    for fault in ({"plan": wrong}, {"u": 0.99 * right.u}, {"v": right.v - 1e-6}):
        with pytest.raises(UncertifiedError, match=r"the interval \[[\d.]+, [\d.]+\] around W1 is .* wide, must be"):
            verify_exact(dataclasses.replace(right, **fault), x, y)


@pytest.mark.parametrize("change", [2e-9, -2e-9])
def test_a_value_beside_its_interval_is_refused(change):
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, 12, 2))
    right = solve_exact(x, y)
    with pytest.raises(UncertifiedError, match=r"the value is .*, must be in \["):
        verify_exact(dataclasses.replace(right, w1=right.w1 * (1 + change)), x, y)


@pytest.mark.parametrize("unit", [1e-14, 1.0, 1e14])
def test_the_bound_is_relative_to_w1_in_every_unit(unit):
    """Of a value of 1e-14, 1e-9 of its size: an error of 1e-9 as such would be anything."""
    x, y = unit * np.array([[0.0], [1.0]]), unit * np.array([[0.25], [1.25]])
    right = solve_exact(x, y)
    for share, accepted in ((0.9e-9, True), (1.1e-9, False)):
        lower = dataclasses.replace(right, u=right.u - 0.25 * unit * share)
        if accepted:
            assert verify_exact(lower, x, y).upper - verify_exact(lower, x, y).lower <= TOLERANCE * right.w1
        else:
            with pytest.raises(UncertifiedError):
                verify_exact(lower, x, y)


def test_the_units_in_the_last_place_are_those_of_the_longest_move_that_carries_mass():
    cost = np.diag([1.0, 1e6, 1e12]) + 1e13 * (1 - np.eye(3))
    mass = np.diag([1 - 1e-6 - 1e-12, 1e-6, 1e-12])
    plan = plan_of(mass)
    above = from_above(cost, plan.mass, plan.mass, plan, 1e13)
    assert above.longest_move == 1e6
    assert allowed_width(0.0, above.longest_move) == ULPS * ULP * 1e6
    assert allowed_width(above.upper, 0.0) == TOLERANCE * above.upper


def test_what_proves_nothing_is_refused_without_a_warning():
    cost, half = np.ones((2, 2)), uniform(2)
    above = from_above(cost, half, half, plan_of(np.eye(2) / 2), 1.0)
    with pytest.raises(UncertifiedError, match=r"the interval \[0, 1\] around W1 is 1 wide"):
        certify(from_below(cost, half, half, np.full(2, -1e308), np.full(2, -1e308)), above)
    with pytest.raises(UncertifiedError, match="a potential u is not finite"):
        from_below(cost, half, half, np.array([0, math.nan]), np.zeros(2))


def test_numbers_with_few_digits_are_refused_with_a_remedy_that_helps():
    x, y = np.array([[0.0], [3e-323]]), np.array([[1e-323], [4e-323]])
    with pytest.raises(UncertifiedError, match=r"multiply the data by 2\*\*200"):
        solve_exact(x, y)
    assert solve_exact(np.ldexp(x, 200), np.ldexp(y, 200)).w1 == pytest.approx(np.ldexp(1e-323, 200), rel=1e-12)


def test_points_farther_apart_than_float64_counts_are_refused_in_one_line():
    with pytest.raises(InputError, match=r"farther apart than float64 counts, 1\.8e308: divide both by one number"):
        solve_exact([[1.7e308]], [[-1.7e308]])


def test_a_solution_prints_its_numbers_and_no_arrays():
    text = repr(solve_exact(*np.random.default_rng(2).standard_normal((2, 500, 2))))
    assert "\n" not in text
    assert len(text) < 250
    for name in ("w1", "lower", "upper", "longest_move", "gap", "violation", "marginal_error"):
        assert f"{name}=" in text


@given(seeds, st.integers(1, 20), st.integers(1, 20))
@law
def test_masses_worked_out_again_are_those_of_the_forest(seed, n, m):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, 2)), rng.standard_normal((m, 2))
    a, b = rng.multinomial(2**12, uniform(n)) + 1, rng.multinomial(2**12, uniform(m)) + 1
    a, b = a / a.sum(), b / b.sum()
    plan = solve_exact(x, y, a, b).plan
    noise = 1 + 1e-3 * rng.random(len(plan.mass))
    again = rebuilt(dataclasses.replace(plan, mass=plan.mass * noise), a, b)
    np.testing.assert_allclose(again.mass, plan.mass[plan.mass > 1e-14], rtol=1e-9, atol=1e-15)


def test_crumbs_that_rounding_left_are_dropped_and_light_atoms_are_not():
    a, b = np.array([1 - 1e-20, 1e-20]), np.array([1.0, 1e-20])
    plan = Plan(np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([0.9, 1e-38, 3e-20]))
    again = rebuilt(plan, a, b)
    assert again.rows.tolist() == again.cols.tolist() == [0, 1]
    assert again.mass.tolist() == [1.0, 1e-20]
