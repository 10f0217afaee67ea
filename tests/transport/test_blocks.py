"""Matrices are read in blocks of rows: every row counts once and against its own costs, whichever block it is in."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from otbench.errors import UncertifiedError
from otbench.transport.bounds import Ladder
from otbench.transport.certificate import certify, from_above, from_below
from otbench.transport.envelope import ROWS_AT_ONCE
from otbench.transport.exact import solve_exact, verify_exact
from otbench.transport.monitoring import PRODUCTS_AT_ONCE, largest_slope
from otbench.transport.pricing import PointCosts
from otbench.types import Plan

#: Below, at and beyond the ends of the first two blocks.
ROWS = [1, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, ROWS_AT_ONCE + 1, 2 * ROWS_AT_ONCE - 1, 2 * ROWS_AT_ONCE + 3]


def weighted(n, m, seed=0):
    """Samples of unlike sizes with weights that are no multiples of one another, a few of them 0."""
    rng = np.random.default_rng([seed, n, m])
    a, b = rng.dirichlet(np.full(n, 0.5)), rng.dirichlet(np.full(m, 0.5))
    if n > 3:
        a[rng.integers(n, size=2)] = 0.0
    a /= a.sum()
    return rng.standard_normal((n, 3)), rng.standard_normal((m, 3)) + 0.5, a, b, rng


@pytest.mark.parametrize("n", ROWS)
def test_the_rungs_are_those_of_the_whole_matrix(n):
    m = 37
    x, y, a, b, rng = weighted(n, m)
    cost = cdist(x, y)
    fx, fy = rng.standard_normal(n) + 1, rng.standard_normal(m)
    ladder = Ladder(cost, a, b)
    there = a > 0
    slopes = (fx[there, None] - fy) / cost[there]
    assert ladder.slope_constant(fx, fy) == max(slopes.max(), 0.0)
    assert ladder.raw(fx, fy) == pytest.approx(a @ fx - b @ fy, rel=1e-12)
    nearest = max(b @ cost[there].min(axis=0), a @ cost.min(axis=1))
    assert ladder.nearest == pytest.approx(nearest, rel=1e-12)

    def worth(s):
        of_x = s * (a @ fx) + b @ (cost[there] - s * fx[there, None]).min(axis=0)
        return max(of_x, -s * (b @ fy) + a @ (cost + s * fy).min(axis=1))

    scale, value = ladder.c_transform(fx, fy, 0.1)
    assert value == pytest.approx(worth(scale), rel=1e-12)
    assert value >= max(worth(s) for s in np.linspace(0, 3, 301)) - 1e-12


@pytest.mark.parametrize("place", [0, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, 2 * ROWS_AT_ONCE, 2 * ROWS_AT_ONCE + 2])
def test_the_steepest_pair_is_found_in_any_block(place):
    n, m = 2 * ROWS_AT_ONCE + 3, 11
    x, y, _, _, rng = weighted(n, m)
    fx, fy = rng.standard_normal(n), rng.standard_normal(m)
    fx[place] += 100
    cost = cdist(x, y)
    steepest = ((fx[place] - fy) / cost[place]).max()
    ladder = Ladder(cost, np.full(n, 1 / n), np.full(m, 1 / m))
    assert ladder.slope_constant(fx, fy) == steepest


@pytest.mark.parametrize("place", ["first", "end of a block", "start of a block", "last"])
def test_the_monitor_finds_the_steepest_pair_in_any_block(place):
    m = 2000
    rows = PRODUCTS_AT_ONCE // m
    n = 2 * rows + 3
    k = {"first": 0, "end of a block": rows - 1, "start of a block": rows, "last": n - 1}[place]
    x, y, _, _, rng = weighted(n, m)
    fx, fy = rng.standard_normal(n), rng.standard_normal(m)
    fx[k] += 1e6
    x[k] += 100.0  # far from y, so that the distances of another block's row would be far too short
    assert largest_slope(fx, fy, x, y) == pytest.approx(((fx[k] - fy) / cdist(x[k : k + 1], y)[0]).max(), rel=1e-12)


@pytest.mark.parametrize("row", [0, 162, 163, 164, 299])
def test_a_violation_in_any_block_is_seen_and_taken_off(row):
    n, m = 300, 400  # blocks of 163 rows
    x, y, a, b, rng = weighted(n, m)
    a[row] += 0.1
    a /= a.sum()
    cost = cdist(x, y)
    u = cost.min(axis=1) - 1.0
    v = np.zeros(m)
    column = int(rng.integers(m))
    u[row] = cost[row, column] + 0.25  # u + v is 0.25 above the cost there, and above those of nearer columns
    below = from_below(cost, a, b, u, v)
    excess = max(0.0, (u[row] - cost[row]).max())
    assert below.violation == pytest.approx(excess, rel=1e-9)
    repaired = v - np.maximum(0, (u[:, None] + v - cost).max(axis=0))
    assert below.lower == pytest.approx(max(0.0, a @ u + b @ repaired), rel=1e-9)
    assert below.largest == cost.max()


@pytest.mark.parametrize("side", ["rows", "columns"])
def test_wrong_sums_of_one_side_alone_are_seen(side):
    n, m = 70, 90
    x, y, a, b, _ = weighted(n, m)
    solved = solve_exact(x, y, a, b)
    assert solved.plan is not None
    cost = cdist(x, y)
    moved = Plan(solved.plan.rows.copy(), solved.plan.cols.copy(), solved.plan.mass.copy())
    heavy = int(moved.mass.argmax())
    (moved.cols if side == "columns" else moved.rows)[heavy] += 1 if moved.cols[heavy] < m - 1 else -1
    above = from_above(cost, a, b, moved, float(cost.max()))
    places, weights = (moved.cols, b) if side == "columns" else (moved.rows, a)
    assert above.marginal_error >= np.abs(np.bincount(places, moved.mass, len(weights)) - weights).max() * (1 - 1e-9)
    with pytest.raises(UncertifiedError):
        certify(from_below(cost, a, b, solved.u, solved.v), above)


def test_samples_of_several_blocks_with_weights_are_solved_and_verified():
    x, y, a, b, _ = weighted(300, 410, seed=5)
    solved = solve_exact(x, y, a, b)
    assert solved.w1 == pytest.approx(verify_exact(solved, x, y, a, b).w1, rel=1e-12)
    assert solve_exact(y, x, b, a).w1 == pytest.approx(solved.w1, rel=1e-12)
    other = np.roll(a, 1)
    with pytest.raises(UncertifiedError):
        verify_exact(solved, x, y, other, b)


@pytest.mark.parametrize("size", [1e15, 1e25, 1e35, 1e200])
def test_a_look_for_near_pairs_keeps_those_there_are_and_warns_of_nothing_where_potentials_leave_float32(size):
    """Ways out that are made dearer in every round raise potentials as far as that."""
    x, y, _, _, rng = weighted(300, 40)
    costs = PointCosts(x / 8, y / 8)
    p, q = rng.standard_normal(300), rng.standard_normal(40)
    p[:3], q[5], q[6] = size, size, -size
    found = costs.near(p, q)
    with np.errstate(invalid="ignore"):
        rows, cols = np.nonzero(cdist(x / 8, y / 8) <= p[:, None] + q)
    assert set(zip(found.rows.tolist(), found.cols.tolist(), strict=True)) == set(zip(rows, cols, strict=True))
