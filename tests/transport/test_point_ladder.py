"""The ladder that stores no distances gives the numbers of the one that stores them all, in little memory."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_ladders import breaks, instances
from scipy.spatial.distance import cdist
from streamed_samples import CRITICS, SHAPES, streamed_sample

from otbench.transport import best_scale, lines, point_ladder, pricing, products
from otbench.transport.bounds import Ladder, lower_bounds
from otbench.transport.dense import cost_matrix
from otbench.transport.exact import solve_exact
from otbench.transport.lines import Lines
from otbench.transport.point_ladder import PointLadder, ladder_of
from otbench.transport.pricing import PointCosts

ULP = 2.0**-52

law = settings(max_examples=15, deadline=None)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks, pilots and draws so small that samples of a few dozen points have several of each."""
    for module in (lines, pricing):
        monkeypatch.setattr(module, "BLOCK_ROWS", 8)
    for module in (lines, products):
        monkeypatch.setattr(module, "BLOCK_COLS", 16)
    monkeypatch.setattr(best_scale, "PILOT", 64)
    monkeypatch.setattr(lines, "PAIRS_DRAWN", 4)


def assert_same_numbers(x, y, a, b, fx, fy):
    """raw, S, nearest and c-transform of both ladders; the last up to the rounding of the sums of which it is the
    difference."""
    stored, streamed = Ladder(cost_matrix(x, y), a, b), PointLadder(x, y, a, b)
    assert streamed.raw(fx, fy) == stored.raw(fx, fy)
    assert streamed.nearest == pytest.approx(stored.nearest, rel=1e-12, abs=0)
    constant = stored.slope_constant(fx, fy)
    assert streamed.slope_constant(fx, fy) == pytest.approx(constant, rel=8 * ULP, abs=0)
    assert streamed.largest >= stored.largest * (1 - 8 * ULP)
    here, there = stored.bounds(fx, fy), streamed.bounds(fx, fy)
    reach = np.ptp(np.concatenate([fx, fy]))
    rounding = 64 * ULP * (stored.largest + max(here.scale, there.scale) * reach)
    assert there.c_transform == pytest.approx(here.c_transform, rel=1e-12, abs=rounding)
    assert there.slope == pytest.approx(here.slope, rel=1e-14, abs=0)
    assert (there.c_transform > there.nearest) == (there.scale > 0)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("critic", CRITICS)
@pytest.mark.parametrize("shape", SHAPES)
def test_both_ladders_give_the_same_numbers(shape, critic):
    rng = np.random.default_rng([len(shape), len(critic)])
    for seed in range(3):
        n, m = rng.integers(1, 50, 2)
        assert_same_numbers(*streamed_sample(shape, critic, n, m, seed, weighted=bool(seed % 2)))


@pytest.mark.parametrize("n", [pricing.BLOCK_ROWS - 1, pricing.BLOCK_ROWS, pricing.BLOCK_ROWS + 1])
@pytest.mark.parametrize("m", [products.BLOCK_COLS - 1, products.BLOCK_COLS, products.BLOCK_COLS + 1])
def test_samples_that_end_beside_the_end_of_a_block(n, m):
    assert_same_numbers(*streamed_sample("normal", "noisy", n, m, 0, weighted=False))


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("size", [-1000, -60, 300, 1000])
@pytest.mark.parametrize("values", [-700, 0, 700])
def test_powers_of_two_leave_the_numbers_as_they_are(size, values):
    """Squares of the distances leave the range of float64; S and the scale stay within it."""
    x, y, a, b, fx, fy = streamed_sample("normal", "noisy", 40, 30, 3)
    here = PointLadder(x, y, a, b).bounds(fx, fy)
    values = size if abs(size - values) > 1020 else values
    there = PointLadder(np.ldexp(x, size), np.ldexp(y, size), a, b).bounds(np.ldexp(fx, values), np.ldexp(fy, values))
    assert there.slope_constant == np.ldexp(here.slope_constant, values - size)
    assert there.nearest == np.ldexp(here.nearest, size)
    assert there.c_transform == pytest.approx(np.ldexp(here.c_transform, size), rel=1e-12, abs=0)
    assert there.scale == pytest.approx(np.ldexp(here.scale, size - values), rel=1e-6, abs=0)


@settings(max_examples=8, deadline=None)
@given(instances())
def test_every_critic_climbs_the_ladder_below_w1(case):
    found = PointLadder(case.x, case.y, case.a, case.b).bounds(case.fx, case.fy, primal=case.w1)
    assert breaks(found, case.slack) == []


@pytest.mark.usefixtures("small_blocks")
@given(st.integers(0, 2**32 - 1))
@law
def test_no_scale_proves_more_than_the_one_found(seed):
    """D_x and D_y by their formulas, at the scale found and at others."""
    x, y, a, b, fx, fy = streamed_sample("normal", "noisy", 37, 45, seed)
    cost = cdist(x, y)
    scale, value = PointLadder(x, y, a, b).c_transform(fx, fy, 0.3)

    def worth(s):
        of_x = s * (a @ fx) + b @ (cost - s * fx[:, None])[a > 0].min(axis=0)
        return max(of_x, -s * (b @ fy) + a @ (cost + s * fy)[:, b > 0].min(axis=1))

    assert value == pytest.approx(worth(scale), rel=1e-12)
    tried = np.concatenate([np.linspace(0, 3, 31), scale * (1 + np.array([-1e-2, -1e-4, 1e-4, 1e-2]))])
    assert value >= max(worth(s) for s in tried) - 1e-12


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("i", [0, 7, 8, 33, 39])
@pytest.mark.parametrize("j", [0, 15, 16, 31, 32, 36])
def test_a_steep_pair_and_a_near_pair_are_found_wherever_they_are(i, j):
    x, y, a, b, fx, fy = streamed_sample("normal", "linear", 40, 37, 1, weighted=False)
    y[j] = x[i]
    y[j, 0] += 1e-9
    fx[i] = fy[j] + 1.0
    ladder = PointLadder(x, y, a, b)
    near = np.linalg.norm(x[i] - y[j])
    assert ladder.slope_constant(fx, fy) == pytest.approx((fx[i] - fy[j]) / near, rel=8 * ULP)
    assert ladder.nearest == pytest.approx(Ladder(cdist(x, y), a, b).nearest, rel=1e-12)


@pytest.mark.usefixtures("small_blocks")
def test_distances_that_float32_cannot_tell_apart_are_told_apart():
    """y is 1 away from all x but for 1e-12, and so are the slopes."""
    x = np.zeros((50, 2))
    x[:, 1] = 1e-12 * np.random.default_rng(0).permutation(50)
    y = np.array([[1.0, 0.0], [0.0, 1.0]])
    a, b = np.full(50, 1 / 50), np.array([0.5, 0.5])
    fx = 1 + 1e-12 * np.random.default_rng(1).random(50)
    ladder = PointLadder(x, y, a, b)
    assert ladder.slope_constant(fx, np.zeros(2)) == (fx[:, None] / cdist(x, y)).max()
    assert ladder.nearest == pytest.approx(max(b @ cdist(x, y).min(axis=0), a @ cdist(x, y).min(axis=1)), rel=2 * ULP)


def lost_at_the_bound(shape, size=1 / 16):
    """How many of pairs with M_ij = p_i + q_j but for the rounding of float64 are not kept by the screen."""
    lost = 0
    for seed in range(5):
        x, y, _, _, _, _ = streamed_sample(shape, "constant", 40, 37, seed)
        rng = np.random.default_rng(seed)
        x, y = size * x, size * y
        costs, cost = PointCosts(x, y), cdist(x, y)
        i = rng.integers(40, size=37)
        p = rng.standard_normal(40) * cost.min(axis=1).mean()
        q = cost[i, np.arange(37)] * (1 + 4 * ULP) - p[i]
        found = [part[:2] for start in range(0, 40, 8) for part in Lines(costs)._within(start, p, q)]
        rows, cols = (np.concatenate(part) for part in zip(*found, strict=True))
        lost += np.setdiff1d(i * 37 + np.arange(37), rows * 37 + cols).size
    return lost


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("shape", ["normal", "far", "lattice", "cluster and one far point"])
def test_no_pair_at_its_bound_is_lost_unless_rounding_is_forgotten(shape, monkeypatch):
    monkeypatch.setattr(lines, "CROWDED", 2)  # no pair is kept for company
    assert lost_at_the_bound(shape) == 0
    monkeypatch.setattr(lines, "SUM_PAID", 0.0)
    monkeypatch.setattr(lines, "PRODUCT_ROUNDING", 0.0)
    assert lost_at_the_bound(shape) > 0


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("exponent", [-60, -68, -70, -72, -75, -80, -200])
def test_no_pair_is_lost_where_squares_leave_float32(exponent, monkeypatch):
    monkeypatch.setattr(lines, "CROWDED", 2)
    assert lost_at_the_bound("normal", 2.0**exponent) == 0


def test_values_beyond_float32_are_read():
    """Points far below the others in value belong to no steep pair and to no lowest line, however far they are."""
    rng = np.random.default_rng(0)
    x, y = rng.random((30, 2)), rng.random((20, 2))
    fx, fy = -rng.random(30), rng.random(20)
    fx[4], fy[7] = 1e-60, 0.0
    ladder = PointLadder(x, y, np.full(30, 1 / 30), np.full(20, 1 / 20))
    assert ladder.slope_constant(fx, fy) == pytest.approx(1e-60 / np.linalg.norm(x[4] - y[7]), rel=8 * ULP)
    p = np.where(np.arange(20) == 7, 0.0, -1e60)
    least, where = Lines(PointCosts(x, y)).lower(p, np.full(30, 10.0))
    assert (where == 7).all()
    assert np.array_equal(least, np.linalg.norm(x - y[7], axis=1))


@pytest.mark.usefixtures("small_blocks")
def test_a_screen_that_forgets_its_own_rounding_loses_the_steepest_pair(monkeypatch):
    """The law above sees the fault: without what is paid for rounding, some maxima are no maxima."""

    def wrong(shrunk):
        monkeypatch.setattr(lines, "_paid", lambda p: (p - shrunk * np.abs(p)).astype(np.float32))
        lost = 0
        for seed in range(10):
            x, y, a, b, fx, fy = streamed_sample("normal", "noisy", 40, 37, seed)
            due = Ladder(cdist(x, y), a, b).slope_constant(fx, fy)
            lost += PointLadder(x, y, a, b).slope_constant(fx, fy) < due * (1 - 1e-12)
        return lost

    assert wrong(-(2.0**-22)) == 0
    assert wrong(0.5) > 0


@pytest.mark.usefixtures("small_blocks")
def test_few_looks_at_all_pairs_are_needed(monkeypatch):
    looks = []
    looking = Lines.lower
    monkeypatch.setattr(Lines, "lower", lambda self, p, bound: (looks.append(1), looking(self, p, bound))[1])
    for shape in SHAPES:
        x, y, a, b, fx, fy = streamed_sample(shape, "noisy", 50, 30, 7)
        ladder = PointLadder(x, y, a, b)
        looks.clear()
        ladder.c_transform(fx, fy, 1.0)
        assert len(looks) <= 24, shape  # both sides together


@pytest.mark.parametrize("read", [lambda *s: Ladder(cdist(s[0], s[1]), *s[2:]), PointLadder])
def test_points_of_next_to_no_weight_prove_nothing_above_w1(read):
    """The mean of f is then its maximum but for rounding, and D must not seem to grow for ever."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        x, y, fy = rng.standard_normal((5, 2)), rng.standard_normal((7, 2)), rng.standard_normal(7)
        a, b = np.array([1e-17, 1e-17, 1e-17, 1e-17, 1.0]), rng.dirichlet(np.ones(7))
        _, value = read(x, y, a, b).c_transform(np.array([-1.0, -2.0, -3.0, -2.0, 1.3]), fy, 1.0)
        assert value <= solve_exact(x, y, a, b).w1 * (1 + 1e-9)


def test_large_costs_beside_small_values_are_read_without_a_warning():
    found = lower_bounds([1e-200, 2e-200], [1e-200, 2e-200], [[0.0, 1e300], [1e300, 0.0]])
    assert (found.slope_constant, found.c_transform, found.nearest) == (0.0, 0.0, 0.0)


def test_on_a_line_thousands_of_tied_lines_are_read():
    """f(z) = z has slope 1 along every pair, and proves the whole of W1 of a shift."""
    x = np.random.default_rng(0).random((600, 1)) + 2
    y = x[::-1] - 1.5
    a = np.full(600, 1 / 600)
    found = PointLadder(x, y, a, a).bounds(x[:, 0], y[:, 0])
    assert found.slope_constant == pytest.approx(1.0, rel=8 * ULP)
    assert found.c_transform == pytest.approx(1.5, rel=1e-12)


def test_any_number_of_threads_finds_the_same_bits(monkeypatch):
    x, y, a, b, fx, fy = streamed_sample("normal", "noisy", 700, 1100, 0)
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        found.append(PointLadder(x, y, a, b).bounds(fx, fy))
    assert found[0] == found[1]


def test_the_way_is_chosen_by_the_number_of_pairs_and_leaves_the_numbers(monkeypatch):
    sample = streamed_sample("normal", "noisy", 30, 20, 0)
    monkeypatch.setattr(point_ladder, "STREAMED_FROM", 601)
    stored = ladder_of(*sample[:4])
    monkeypatch.setattr(point_ladder, "STREAMED_FROM", 600)
    streamed = ladder_of(*sample[:4])
    assert (type(stored), type(streamed)) == (Ladder, PointLadder)
    found = streamed.bounds(*sample[4:])
    assert found.c_transform == pytest.approx(stored.bounds(*sample[4:]).c_transform, rel=1e-12)


def test_the_distances_are_not_stored(monkeypatch):
    monkeypatch.setattr(best_scale, "PILOT", 2**17)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    n = 2500
    x, y, a, b, fx, fy = streamed_sample("normal", "noisy", n, n, 0, weighted=False)
    tracemalloc.start()
    try:
        PointLadder(x, y, a, b).bounds(fx, fy)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * n * n / 2  # half of one matrix; what is needed does not grow with it


@given(st.integers(0, 2**32 - 1), st.integers(1, 70), st.integers(1, 50))
@law
def test_what_is_lower_than_a_bound_is_the_minimum_of_the_row(seed, n, m):
    rng = np.random.default_rng(seed)
    x, y, p = rng.standard_normal((n, 2)), rng.standard_normal((m, 2)), rng.standard_normal(m)
    values = cdist(x, y) - p
    bound = values[np.arange(n), rng.integers(m, size=n)]
    least, where = Lines(PointCosts(x / 8, y / 8)).lower(p / 8, bound / 8)
    np.testing.assert_allclose(8 * least, values.min(axis=1), rtol=1e-13, atol=1e-13)
    lower = np.flatnonzero(where >= 0)
    assert np.array_equal(where[lower], values[lower].argmin(axis=1))
    assert (bound <= values.min(axis=1) + 1e-13)[where < 0].all()
