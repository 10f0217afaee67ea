"""The exact side at its limits: totals that differ, plans and memory just inside and just beyond, routes that meet."""

import math
import time
import warnings

import numpy as np
import pytest
from exact_arithmetic import distance
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from otbench.errors import InputError, UncertifiedError
from otbench.transport import dense as dense_module
from otbench.transport.certificate import (
    Above,
    Below,
    certify,
    check_plan,
    from_above,
    from_below,
    is_exact,
)
from otbench.transport.dense import cost_matrix, solve_cost, verify_cost
from otbench.transport.exact import solve_exact, verify_exact
from otbench.transport.forest import rebuilt
from otbench.types import Plan

law = settings(max_examples=60, deadline=None)
seeds = st.integers(0, 2**32 - 1)

#: What the certificate promises, written out: a unit in the last place of 1, the smallest number, the share of the mass
#: from which an entry counts as a move, the least weight of an atom, and the share of an atom that is a crumb.
ULP, SMALLEST, USED, LIGHT, CRUMB = 2.0**-52, 2.0**-1074, 2.0**-28, 1e-6, 2.0**-48


def partial_w1(cost):
    """The cheapest way to move the lighter side where every atom weighs 1: an assignment of the smaller sample."""
    return cost[linear_sum_assignment(cost)].sum()


def units(n, m, seed):
    """Points of unlike numbers, atoms of weight 1, and an optimal plan of the smaller side."""
    rng = np.random.default_rng([seed, n, m])
    cost = cdist(rng.standard_normal((n, 2)), rng.standard_normal((m, 2)) + 1)
    rows, cols = linear_sum_assignment(cost)
    return rng, cost, np.ones(n), np.ones(m), Plan(rows, cols, np.ones(len(rows)))


@given(seeds, st.integers(1, 9), st.integers(1, 9), st.floats(-2, 1))
@law
def test_where_the_totals_differ_the_lighter_one_is_moved_and_the_interval_holds_its_cost(seed, n, m, size):
    rng, cost, a, b, plan = units(n, m, seed)
    truth = partial_w1(cost)
    u, v = 10.0**size * rng.standard_normal(n), 10.0**size * rng.standard_normal(m)
    assert from_below(cost, a, b, u, v).lower <= truth * (1 + 1e-12)
    assert from_below(cost, a, b, u + 3, v - 3).lower <= truth * (1 + 1e-12)
    assert from_below(cost, a, b, u - 3, v + 3).lower <= truth * (1 + 1e-12)
    some = Plan(plan.rows, rng.permutation(plan.cols), plan.mass * rng.random(len(plan.mass)))
    assert from_above(cost, a, b, some, cost.max()).upper >= truth * (1 - 1e-12)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("shift", [-2.0, -0.5, 0.0, 0.25])
def test_a_surplus_that_stays_costs_the_largest_potential_of_its_side(turned, shift):
    """One point at 0, two at 1 and 3: u = 1 + t and v = -t are feasible, and v is gained for the atom that stays."""
    cost, a, b = np.array([[1.0, 3.0]]), np.ones(1), np.ones(2)
    u, v = np.array([1 + shift]), np.full(2, -shift)
    below = from_below(cost.T, b, a, v, u) if turned else from_below(cost, a, b, u, v)
    assert below.value == 1 - shift
    assert below.lower == pytest.approx(max(0, 1 - shift - max(0, -shift)), abs=1e-14)
    assert below.violation <= 2 * ULP * 3


def test_the_bounds_are_tight_to_a_few_units_in_the_last_place():
    for n, m in ((1, 1), (3, 7), (64, 65)):
        rng = np.random.default_rng([n, m])
        x, y = rng.standard_normal((n, 3)), rng.standard_normal((m, 3)) + 1
        a, b = rng.multinomial(2**20, np.full(n, 1 / n)) / 2**20, rng.multinomial(2**20, np.full(m, 1 / m)) / 2**20
        found = solve_exact(x, y, a, b)
        size = a @ np.abs(found.u) + b @ np.abs(found.v)
        assert 0 <= found.upper - found.w1 <= (2 + 2 * 1e-9) * ULP * found.w1 + ULP * found.longest_move * (n + m)
        assert found.w1 - found.lower <= 6 * ULP * size + found.violation
        assert found.gap <= 4 * ULP * size + found.violation


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_the_rounding_of_a_sum_of_masses_is_charged_from_the_second_mass_on(rows):
    """Masses that are dyadic sum exactly; the certificate still charges half a unit in the last place per addition."""
    cost, mass = np.ones((1, rows)), np.full(rows, 0.25)
    plan = Plan(np.zeros(rows, int), np.arange(rows), mass)
    above = from_above(cost, np.array([rows / 4]), mass, plan, 1.0)
    assert above.marginal_error == pytest.approx(0.5 * ULP * (rows - 1))
    assert above.cost == rows / 4
    assert 0 <= above.upper - above.cost <= 4 * ULP


def test_an_atom_lighter_than_a_millionth_is_judged_as_if_it_had_that_weight():
    for weight, share in ((1e-3, 1e-3), (LIGHT, LIGHT), (1e-9, LIGHT)):
        plan = Plan(np.array([0, 1]), np.array([0, 1]), np.array([1 - weight, 0.5 * weight]))
        weights = np.array([1 - weight, weight])
        above = from_above(1 - np.eye(2), weights, weights, plan, 1.0)
        assert above.marginal_error == pytest.approx(0.5 * weight / share)


def test_rows_and_columns_alike_lose_mass_that_is_charged_half_on_each():
    """A row holds too much and a column too little: what is completed goes to the dearest pair that has room."""
    cost = np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0], [64.0, 128.0, 256.0]])
    a = b = np.array([0.5, 0.25, 0.25])
    exact = np.array([0.5, 0.25, 0.25])
    for place in range(3):
        mass = exact.copy()
        mass[place] -= 0.125
        above = from_above(cost, a, b, Plan(np.arange(3), np.arange(3), mass), 256.0)
        assert above.upper == pytest.approx(above.cost + 0.125 * cost[place, place])
    crossed = Plan(np.array([0, 1, 2, 2]), np.array([0, 1, 2, 0]), np.array([0.5, 0.25, 0.25, 0.125]))
    above = from_above(cost, a, b, crossed, 256.0)  # row 2 and column 0 hold 1/8 too much: all of theirs may be moved
    assert above.upper == pytest.approx(above.cost + 0.125 * cost[[0, 2]][:, [0, 2]].max())


def test_the_longest_move_is_of_entries_that_move_more_than_a_share_of_the_mass():
    cost = np.diag([1.0, 1e3]) + 1e6 * (1 - np.eye(2))

    def longest(mass, costs=cost, error=0.0):
        weights = np.array([1 - mass + error, mass])
        return from_above(costs, weights, weights, Plan(np.arange(2), np.arange(2), np.array([1 - mass, mass])),
                          1e6).longest_move  # fmt: skip

    assert longest(1.1 * USED) == 1e3
    assert longest(USED) == 1.0
    assert longest(0.9 * USED) == 1.0
    still = np.diag([0.0, 1e3]) + 1e6 * (1 - np.eye(2))
    assert longest(0.9 * USED, still) == 1e3
    assert longest(0.0, still) == 0.0
    assert longest(0.0, still, error=2**-20) == 0.0
    assert longest(0.9 * USED, still, error=2**-20) == 1e3


@pytest.mark.parametrize("last", [False, True])
def test_an_index_one_beyond_the_sample_is_refused_and_the_last_one_is_taken(last):
    for n, m in ((3, 5), (5, 3)):
        row, col = (n - 1, m - 1) if last else (0, 0)
        check_plan(Plan(np.array([row]), np.array([col]), np.array([0.0])), n, m)
        wrong = [(n, "row", "3 points" if n == 3 else "5 points"), (-1, "row", "")] if last else [(-1, "row", "")]
        for index, name, text in wrong:
            with pytest.raises(UncertifiedError, match=f"a {name} of the plan is .*{text}"):
                check_plan(Plan(np.array([0, index]), np.array([0, 0]), np.ones(2)), n, m)
            with pytest.raises(UncertifiedError, match="a column of the plan"):
                check_plan(Plan(np.array([0, 0]), np.array([0, m if index > 0 else -1]), np.ones(2)), n, m)
    with pytest.raises(UncertifiedError, match=r"a mass of the plan is -4\.94e-324, must be 0 or more"):
        check_plan(Plan(np.zeros(1, int), np.zeros(1, int), np.array([-SMALLEST])), 1, 1)
    check_plan(Plan(np.empty(0, int), np.empty(0, int), np.empty(0)), 1, 1)
    for rows, cols, mass in ((2, 1, 1), (1, 2, 1), (1, 1, 2)):
        with pytest.raises(UncertifiedError, match=r"the plan's shape is .*must be a row, a column and a mass"):
            check_plan(Plan(np.zeros(rows, int), np.zeros(cols, int), np.zeros(mass)), 3, 3)


#: Bounds of the value 1 by a plan whose longest move is 1, and what is laid on them.
UPPER = Above(Plan(np.zeros(1, int), np.zeros(1, int), np.ones(1)), 1.0, 1.0, 0.0, 1.0)


def proved(w1=1.0, lower=1.0, value=1.0, violation=0.0, upper=1.0, cost=1.0, error=0.0, longest=1.0):
    above = Above(UPPER.plan, upper, cost, error, longest)
    below = Below(np.ones(1), np.zeros(1), lower, value, violation, 1.0)
    return certify(below, above, w1)


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (lambda room: {"lower": 1 - room * 1e-9}, "the interval"),
        (lambda room: {"upper": 1 + room * 1e-9}, "the interval"),
        (lambda room: {"lower": 1 - room * 4e-9, "longest": 4e-9 / (16 * ULP)}, "the interval"),
        (lambda room: {"value": 1 - room * 1e-9}, "duality gap"),
        (lambda room: {"value": 1 + room * 1e-9}, "duality gap"),
        (lambda room: {"cost": 1 + room * 1e-9}, "duality gap"),
        (lambda room: {"value": 1 + room * 6e-9, "violation": 5e-9}, "duality gap"),
        (lambda room: {"error": room * 1e-9}, "marginal error"),
    ],
)
def test_a_proof_holds_a_tenth_inside_each_limit_and_is_refused_a_tenth_beyond(limit, text):
    proof = proved(**limit(0.9))
    assert proof.w1 == 1.0
    with pytest.raises(UncertifiedError, match=text):
        proved(**limit(1.1))


def test_a_proof_tells_the_bounds_it_was_made_of():
    found = proved(lower=1 - 2e-10, upper=1 + 3e-10, value=1 - 1e-10, cost=1 + 2.5e-10, violation=7.0, error=4e-10)
    assert (found.w1, found.lower, found.upper, found.longest_move) == (1.0, 1 - 2e-10, 1 + 3e-10, 1.0)
    assert (found.violation, found.marginal_error) == (7.0, 4e-10)
    assert found.gap == pytest.approx(2.5e-10)
    for edge in (1 - 2e-10, 1 + 3e-10):
        assert proved(w1=edge, lower=1 - 2e-10, upper=1 + 3e-10).w1 == edge
        with pytest.raises(UncertifiedError, match="the value"):
            proved(w1=edge + math.copysign(1e-13, edge - 1), lower=1 - 2e-10, upper=1 + 3e-10)


def test_the_value_of_two_bounds_is_the_plans_cost_moved_into_the_interval():
    for cost, value in ((1.0, 1.0), (1 - 3e-10, 1 - 2e-10), (1 + 5e-10, 1 + 3e-10)):
        assert proved(None, lower=1 - 2e-10, upper=1 + 3e-10, cost=cost).w1 == value
    below = Below(np.ones(1), np.zeros(1), 1.0, 1.0, 0.0, 1.0)
    assert is_exact(below, UPPER)
    assert not is_exact(Below(np.ones(1), np.zeros(1), 1 - 2e-9, 1.0, 0.0, 1.0), UPPER)


def test_without_a_plan_the_value_is_proved_from_below_alone():
    below = Below(np.ones(1), np.zeros(1), 1 - 0.9e-9, 1.0, 0.0, 1.0)
    proof = certify(below, None, 1.0)
    assert (proof.upper, proof.longest_move, proof.marginal_error, proof.lower) == (math.inf, 0.0, 0.0, 1 - 0.9e-9)
    with pytest.raises(UncertifiedError, match="the interval"):
        certify(Below(np.ones(1), np.zeros(1), 1 - 1.1e-9, 1.0, 0.0, 1.0), None, 1.0)


def test_the_remedy_for_small_numbers_is_told_below_2_to_the_minus_960_alone():
    for exponent, text in ((-959, "take points"), (-961, "multiply the data by")):
        top = 2.0**exponent
        with pytest.raises(UncertifiedError, match=text):
            proved(top, lower=0.0, value=top, upper=top, cost=top, longest=0.0)


EXPONENTS = [-700, -640, -520, -513, -511, -450, -401, -400, -399, -300, 0, 300, 399, 400, 401, 450, 511, 513, 520, 700]


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_the_routes_to_a_distance_meet_where_one_gives_way_to_the_next(exponent):
    """Plain squares, squares of scaled points, and each difference by its own largest entry."""
    points = [[3.0, 4.0], [0.5, -0.25], [0.0, 1.0]]
    for mixed in (0.0, 1.0, 2.0**-399, 2.0**-401, 2.0**-500):
        x = np.ldexp([[3.0, 4.0], [mixed, 0.0]], exponent)
        y = np.ldexp(points, exponent)
        due = [[float(distance(p, q)) for q in y] for p in x]
        np.testing.assert_allclose(cost_matrix(x, y), due, rtol=4 * ULP, atol=0)


def test_a_distance_of_the_largest_numbers_is_counted_up_to_the_end_of_float64():
    largest = np.finfo(np.float64).max
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cost_matrix([[largest / 2]], [[-largest / 2]])[0, 0] == largest
        for x, y in (([[largest]], [[-largest / 2]]), ([[largest, 1e-300]], [[-largest, 0.0]])):
            with pytest.raises(InputError, match="farther apart than float64 counts"):
                cost_matrix(x, y)


@pytest.mark.parametrize(("solves", "word"), [(1, "an exact solve of 300 x 500 points"), (3, "3 exact solves of")])
def test_a_solve_that_just_fits_is_begun_and_one_byte_less_is_refused(solves, word, monkeypatch):
    needed = solves * int(8 * 300 * 500 * 7.25 + 2**25)
    monkeypatch.setattr(dense_module, "free_memory", lambda: needed)
    dense_module.check_dense_memory(300, 500, solves)
    monkeypatch.setattr(dense_module, "free_memory", lambda: needed - 1)
    with pytest.raises(InputError, match=word) as error:
        dense_module.check_dense_memory(300, 500, solves)
    assert ("or fewer workers" in str(error.value)) == (solves > 1)
    assert f"{needed / 2**30:.1f} GiB" in str(error.value)


def test_atoms_of_no_weight_far_away_take_nothing_from_the_proof():
    """They get potentials that are feasible in every bit, the largest such, and change no number."""
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((9, 2)), rng.standard_normal((7, 2))
    core = solve_exact(x, y)
    for side in (0, 1):
        parts = [x, y]
        weights = [np.full(9, 1 / 9), np.full(7, 1 / 7)]
        parts[side] = np.concatenate([parts[side], 1e3 * rng.standard_normal((40, 2))])
        weights[side] = np.concatenate([weights[side], np.zeros(40)])
        found = solve_exact(*parts, *weights)
        assert (found.w1, found.lower, found.upper) == pytest.approx((core.w1, core.lower, core.upper), rel=1e-14)
        assert found.violation <= core.violation
        cost = cost_matrix(*parts)
        sums = (found.u[:, None] + found.v) / cost
        idle = sums[9:, :7] if side == 0 else sums[:, 7:]
        nearest = idle.max(axis=1 - side)
        assert (nearest <= 1).all()
        assert (nearest > 1 - 16 * ULP).all()
        assert verify_exact(found, *parts, *weights).w1 == found.w1


def test_the_seconds_of_a_solution_are_those_it_took():
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((60, 2)), rng.standard_normal((50, 2))
    cost, a, b = cost_matrix(x, y), np.full(60, 1 / 60), np.full(50, 1 / 50)
    light = np.concatenate([a[:-1], [0.0]]) / a[:-1].sum()
    for call in (lambda: solve_cost(cost, a, b), lambda: solve_cost(cost, light, b),
                 lambda: verify_cost(solve_cost(cost, a, b), cost, a, b)):  # fmt: skip
        start = time.perf_counter()
        found = call()
        assert 0 < found.seconds <= time.perf_counter() - start


def test_a_matrix_that_does_not_fit_when_it_is_made_is_refused_in_one_line(monkeypatch):
    def full(*_):
        raise MemoryError

    for name in ("check_dense_memory", "_solve"):
        with monkeypatch.context() as patch:
            patch.setattr(dense_module, name, full)
            with pytest.raises(InputError, match="does not fit in memory: use smaller samples"):
                solve_exact([[0.0, 0.0]], [[1.0, 0.0]])


def test_a_crumb_is_a_share_of_the_lighter_of_its_two_atoms():
    light, heavy = np.array([1.0, 2.0**-20]), np.array([1.0, 1.0])
    for a, b, rows, cols in ((light, heavy, [0, 1, 1], [0, 0, 1]), (heavy, light, [0, 0, 1], [0, 1, 1])):
        for share, kept in ((1.5, 3), (0.75, 2)):
            mass = np.array([1.0, share * CRUMB * 2.0**-20, 2.0**-20])
            assert len(rebuilt(Plan(np.array(rows), np.array(cols), mass), a, b).mass) == kept


def test_masses_on_a_cycle_are_kept_and_those_of_its_branches_are_worked_out():
    """Rows 0, 1 and columns 0, 1 form a cycle, of which column 2 is a branch by row 0; row 2 is a tree of its own."""
    rows, cols = np.array([0, 0, 1, 1, 0, 2]), np.array([0, 1, 0, 1, 2, 3])
    mass = np.array([0.1, 0.15, 0.2, 0.05, 0.9, 0.9])
    a, b = np.array([0.35, 0.25, 0.4]), np.array([0.3, 0.2, 0.1, 0.4])
    assert rebuilt(Plan(rows, cols, mass), a, b).mass.tolist() == [0.1, 0.15, 0.2, 0.05, 0.1, 0.4]


def test_an_atom_that_others_have_emptied_sends_nothing_rather_than_less():
    """Column 0 is given 0.6 + 0.6 by its leaves and holds 1: what is left for the last entry is 0, not -0.2."""
    plan = Plan(np.array([0, 1, 2, 2]), np.array([0, 0, 0, 1]), np.full(4, 0.3))
    again = rebuilt(plan, np.array([0.6, 0.6, 0.5]), np.array([1.0, 0.5]))
    assert again.mass.min() >= 0
