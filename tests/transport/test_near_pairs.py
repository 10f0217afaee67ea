"""The look through all pairs, atoms, cells and the line, each against an independent route."""

import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance

import otbench.transport.pricing as pricing
import otbench.transport.products as products
from otbench.errors import UncertifiedError
from otbench.transport.arcs import solve_on
from otbench.transport.atoms import atoms, spread_rows
from otbench.transport.certificate import from_above, from_below
from otbench.transport.coarse import cells, coarsened
from otbench.transport.costs import ULP, MatrixCosts
from otbench.transport.exact import solve_exact, verify_exact
from otbench.transport.line import LineCosts, solve_line
from otbench.transport.pricing import Arcs, PointCosts, threads
from otbench.transport.start import ways_out
from otbench.types import Plan


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(pricing, "BLOCK_ROWS", 16)
    monkeypatch.setattr(products, "BLOCK_COLS", 32)


def a_sample(n, m, d, seed, far=0.0):
    rng = np.random.default_rng([n, m, d, seed])
    x, y = rng.standard_normal((n, d)), rng.standard_normal((m, d))
    x[0] += far
    x, y = x / np.abs(x).max(), y / np.abs(x).max()
    y[-1] = x[-1]
    return x, y, rng


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(("n", "m"), [(1, 1), (15, 31), (16, 32), (17, 33), (33, 65), (50, 7)])
@pytest.mark.parametrize("d", [1, 2, 7, 130])
def test_no_pair_within_reach_is_lost_and_none_beyond_it_is_found(n, m, d):
    for far in (0.0, 1e6):
        x, y, rng = a_sample(n, m, d, 1, far)
        cost = cdist(x, y)
        f = rng.standard_normal(d)
        p, q = x @ f / np.linalg.norm(f), -(y @ f) / np.linalg.norm(f) + rng.choice([0, 1e-7, 0.1, -0.1])
        found = PointCosts(x, y).near(p, q)
        wanted = cost <= p[:, None] + q
        surely = cost <= p[:, None] + q - 1e-15
        there = np.zeros_like(wanted)
        there[found.rows, found.cols] = True
        assert there[surely].all()
        assert (cost <= p[:, None] + q + 1e-15)[there].all()
        assert len(found.costs) == there.sum()
        assert found.costs == pytest.approx(cost[found.rows, found.cols], rel=1e-14)


@pytest.mark.usefixtures("small_blocks")
def test_where_very_many_pairs_are_near_the_tightest_of_each_row_and_column_are_kept(monkeypatch):
    monkeypatch.setattr(pricing, "MOST_A_ROW", 5)
    x, y, _ = a_sample(40, 60, 3, 2)
    found = PointCosts(x, y).near(np.full(40, 10.0), np.zeros(60))
    cost = cdist(x, y)
    there = np.zeros_like(cost, dtype=bool)
    there[found.rows, found.cols] = True
    assert (np.bincount(found.rows, minlength=40) >= 5).all()
    for row in range(40):
        assert there[row, np.argsort(cost[row])[:5]].all()
    for block in range(0, 40, 16):  # a column's tightest are taken of each block of rows
        part = cost[block : block + 16]
        for col in range(60):
            assert there[block + np.argsort(part[:, col])[:5], col].all()
    assert len(found.costs) < 0.5 * cost.size


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("d", [2, 16])
def test_the_excess_is_that_of_the_matrix_for_potentials_of_any_size(d):
    x, y, rng = a_sample(37, 70, d, 3)
    matrix, points = MatrixCosts(cdist(x, y)), PointCosts(x, y)
    assert points.largest >= matrix.matrix.max()
    for size in (1e-9, 0.3, 1.0, 1e6, 1e30):
        u, v = size * rng.standard_normal(37), size * rng.standard_normal(70)
        over, largest = points.excess(u, v)
        assert over == pytest.approx(matrix.excess(u, v)[0], rel=1e-12, abs=1e-15)
        assert largest == points.largest
    exact = solve_exact(x, y, route="dense")
    assert points.excess(exact.u, exact.v)[0].max() <= 1e-12
    lifted = exact.u.copy()
    lifted[20] += 1e-9
    assert points.excess(lifted, exact.v)[0].max() == pytest.approx(1e-9, rel=1e-3)
    marked = np.arange(37) < 5, np.arange(70) > 60
    assert points.dearest(*marked) >= matrix.dearest(*marked)
    assert points.dearest(np.zeros(37, bool), marked[1]) == 0.0


def test_distances_of_pairs_keep_their_digits_from_the_largest_to_the_smallest():
    x = np.array([[1.0, 0.0], [2.0**-600, 0.0], [0.5, 2.0**-1060]])
    y = np.array([[1 - 2.0**-52, 0.0], [0.0, 2.0**-600]])
    found = PointCosts(x, y).at(np.array([0, 1, 2]), np.array([0, 1, 0]))
    assert found == pytest.approx([2.0**-52, math.sqrt(2) * 2.0**-600, 0.5 - 2.0**-52], rel=1e-15)


@pytest.mark.usefixtures("small_blocks")
def test_c_transforms_and_rooms_are_those_of_the_matrix_up_to_float32():
    x, y, rng = a_sample(50, 90, 4, 4)
    cost, v = cdist(x, y), rng.standard_normal(90)
    points = PointCosts(x, y)
    assert points.c_transform(v) == pytest.approx((cost - v).min(axis=1), abs=1e-5)
    assert points.turned.c_transform(v[:50]) == pytest.approx((cost.T - v[:50]).min(axis=1), abs=1e-5)
    u = rng.standard_normal(50)
    left = np.sort(cost - u[:, None] - v, axis=1)
    assert points.room(u, v, 7, rng) == pytest.approx(left[:, 6], abs=1e-5)


@pytest.mark.parametrize(("asked", "count"), [("1", 1), ("3", 3)])
def test_as_many_threads_look_as_are_asked_for(asked, count, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert threads() == count
    monkeypatch.setenv("OMP_NUM_THREADS", "all")
    assert threads() >= 1


def test_ways_out_are_half_the_distance_to_a_neighbour():
    line = np.array([[0.0], [1.0], [4.0]])
    assert ways_out(line, np.random.default_rng(0)).tolist() == [0.5, 0.5, 1.5]
    high = np.eye(6)
    assert ways_out(high, np.random.default_rng(0)) == pytest.approx(np.full(6, math.sqrt(0.5)))
    assert ways_out(line[:1], np.random.default_rng(0)).tolist() == [1.0]


def test_mass_without_a_pair_stays_idle_at_the_price_of_its_way_out():
    cost = np.array([[1.0, 9.0], [9.0, 2.0]])
    arcs = Arcs(np.array([0, 1]), np.array([0, 0]), cost[[0, 1], [0, 0]])
    half, none = np.full(2, 0.5), np.zeros(2)
    found = solve_on(arcs, half, half, none, none, np.full(2, 3.0), np.full(2, 4.0))
    assert found.idle_x == pytest.approx([0.0, 0.5])
    assert found.idle_y == pytest.approx([0.0, 0.5])
    assert (found.plan.rows.tolist(), found.plan.cols.tolist(), found.plan.mass.tolist()) == ([0], [0], [0.5])
    assert found.u[1] + found.v[1] == pytest.approx(3.0 + 4.0)
    assert found.u[0] + found.v[0] == pytest.approx(1.0)


def test_another_state_than_an_optimum_is_refused(monkeypatch):
    import otbench.transport.arcs as module

    monkeypatch.setattr(module, "MAX_ITERATIONS", 1)
    rng = np.random.default_rng(5)
    arcs = Arcs(np.repeat(np.arange(20), 20), np.tile(np.arange(20), 20), rng.random(400))
    mass, none = np.full(20, 0.05), np.zeros(20)
    with pytest.raises(UncertifiedError, match=r"the solver's state on some pairs is .*, must be optimal"):
        solve_on(arcs, mass, mass, none, none, np.ones(20), np.ones(20))


def test_atoms_merge_what_coincides_and_leave_out_what_has_no_mass():
    points = np.array([[0.0, 1.0], [2.0, 2.0], [-0.0, 1.0], [3.0, 3.0], [2.0, 2.0]])
    found = atoms(points, np.array([0.25, 0.0, 0.25, 0.0, 0.5]))
    assert found.merged
    assert found.points[found.of[[0, 1, 2, 4]]].tolist() == [[0, 1], [2, 2], [0, 1], [2, 2]]
    assert found.of[3] == -1
    assert found.weights[found.of[[0, 1]]].tolist() == [0.5, 0.5]
    apart = atoms(points[[0, 1, 3]], np.full(3, 1 / 3))
    assert not apart.merged


def test_a_plan_of_atoms_is_shared_out_among_their_points_with_their_weights():
    rng = np.random.default_rng(6)
    points = rng.integers(0, 3, (60, 2)).astype(float)
    weights = rng.dirichlet(np.ones(60)) * (rng.random(60) < 0.8)
    weights /= weights.sum()
    found = atoms(points, weights)
    k = len(found.weights)
    mass = found.weights[:, None] * rng.dirichlet(np.ones(7))
    rows, cols = np.nonzero(mass)
    spread = spread_rows(Plan(rows, cols, mass[rows, cols]), found, weights)
    assert np.bincount(spread.rows, spread.mass, 60) == pytest.approx(weights, abs=1e-15)
    assert np.bincount(spread.cols, spread.mass, 7) == pytest.approx(mass.sum(axis=0), abs=1e-15)
    assert (found.of[spread.rows] >= 0).all()
    back = np.zeros((k, 7))
    np.add.at(back, (found.of[spread.rows], spread.cols), spread.mass)
    assert back == pytest.approx(mass, abs=1e-15)
    assert len(spread.mass) <= len(rows) + 60


@pytest.mark.parametrize("n", [1, 2, 3, 7, 64, 100])
@pytest.mark.parametrize("size", [2, 4])
def test_cells_hold_every_point_once_and_their_points_are_near_each_other(n, size):
    rng = np.random.default_rng(n)
    points = rng.standard_normal((n, 2))
    found = cells(points, size)
    assert sorted(np.concatenate(found)) == list(range(n))
    assert max(map(len, found)) <= size
    assert len(found) <= max(1, 2 * n / size)
    weights = rng.dirichlet(np.ones(n))
    chosen, mass = coarsened(points, weights, size, rng)
    assert len(chosen) == len(mass) == len(found)
    assert mass.sum() == pytest.approx(1)
    assert {tuple(point) for point in chosen} <= {tuple(point) for point in points}
    for cell, point, total in zip(found, chosen, mass, strict=True):
        assert tuple(point) in {tuple(other) for other in points[cell]}
        assert total == pytest.approx(weights[cell].sum())


def test_points_stand_for_their_cells_in_proportion_to_their_weights():
    points, weights = np.array([[0.0], [1.0]]), np.array([0.2, 0.8])
    drawn = [coarsened(points, weights, 2, np.random.default_rng(k))[0][0, 0] for k in range(2000)]
    assert np.mean(drawn) == pytest.approx(0.8, abs=0.04)


def test_the_line_is_sorted_with_a_plan_and_potentials_that_prove_its_value():
    rng = np.random.default_rng(7)
    for n, m in ((1, 1), (1, 9), (40, 31), (500, 700)):
        x, y = rng.standard_normal(n), np.round(rng.standard_normal(m) + 0.3, 1)
        a, b = rng.dirichlet(np.full(n, 0.7)), rng.dirichlet(np.full(m, 0.7))
        plan, u, v = solve_line(x, y, a, b)
        costs, matrix = LineCosts(x, y), MatrixCosts(np.abs(x[:, None] - y))
        truth = wasserstein_distance(x, y, a, b)
        for each in (costs, matrix):
            below = from_below(each, a, b, u, v)
            above = from_above(each, a, b, plan, below.largest)
            assert below.lower == pytest.approx(truth, rel=1e-10)
            assert above.upper == pytest.approx(truth, rel=1e-10)
        assert costs.excess(u, v)[1] == matrix.matrix.max()


def test_the_excess_on_the_line_is_never_less_than_that_of_the_matrix():
    rng = np.random.default_rng(8)
    x, y = np.round(rng.standard_normal(30), 1), np.round(rng.standard_normal(40), 1)
    costs, matrix = LineCosts(x, y), MatrixCosts(np.abs(x[:, None] - y))
    for size in (1e-3, 1.0, 50.0):
        u, v = size * rng.standard_normal(30), size * rng.standard_normal(40)
        exact, found = matrix.excess(u, v)[0], costs.excess(u, v)[0]
        assert (found >= exact).all()
        assert found == pytest.approx(exact, abs=64 * ULP * (size * 4 + 4))
    assert costs.dearest(np.arange(30) < 3, np.arange(40) < 2) == matrix.dearest(np.arange(30) < 3, np.arange(40) < 2)
    assert costs.dearest(np.zeros(30, bool), np.arange(40) < 2) == 0.0


def test_half_a_million_points_on_the_line_take_seconds():
    rng = np.random.default_rng(9)
    x, y = rng.standard_normal((500_000, 1)), rng.standard_normal((300_000, 1)) + 0.1
    found = solve_exact(x, y)
    assert found.route == "line"
    assert found.w1 == pytest.approx(wasserstein_distance(x[:, 0], y[:, 0]), rel=1e-9)
    assert verify_exact(found, x, y).w1 == found.w1
