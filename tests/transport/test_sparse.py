"""The sparse route against the dense one, on every kind of sample, with levels and blocks made small."""

import contextlib
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import cdist

import otbench
import otbench.transport.exact as exact
import otbench.transport.pricing as pricing
import otbench.transport.products as products
import otbench.transport.rounds as rounds
import otbench.transport.sparse as sparse
import otbench.transport.start as start
from otbench.errors import InputError, UncertifiedError
from otbench.problems import problem
from otbench.transport.certificate import allowed_width
from otbench.transport.exact import solve_exact, verify_exact
from otbench.types import ExactSolution


@pytest.fixture(autouse=True)
def small_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Levels and blocks so small that small samples have several of them."""
    monkeypatch.setattr(start, "SMALL_PROBLEM", 100)
    monkeypatch.setattr(sparse, "SMALL_PROBLEM", 100)
    monkeypatch.setattr(pricing, "BLOCK_ROWS", 16)
    monkeypatch.setattr(products, "BLOCK_COLS", 32)


def gaussians(n, m, d, rng, shift=2.0):
    x, y = rng.standard_normal((n, d)), rng.standard_normal((m, d))
    y[:, 0] += shift
    return x, y


def rounded(n, m, d, rng):
    return tuple(np.round(z) for z in gaussians(n, m, d, rng))


def of_two_points(n, m, d, rng):
    x, y = gaussians(n, m, d, rng)
    return np.repeat(x[:1], n, axis=0), np.repeat((x, y)[rng.integers(2)][:1], m, axis=0)


def collinear(n, m, d, rng):
    along = rng.standard_normal(d)
    return rng.standard_normal((n, 1)) * along, rng.standard_normal((m, 1)) * along


def of_any_unit(n, m, d, rng):
    unit = 10.0 ** rng.choice([-300, -280, -150, -9, 9, 150, 280, 300])
    return tuple(unit * z for z in gaussians(n, m, d, rng))


def repeated(n, m, d, rng):
    x, y = gaussians(n, m, d, rng)
    return np.concatenate([x, x[: n // 2]]), np.concatenate([y, x[: n // 3]])


def of_many_widths(n, m, d, rng):
    x, y = gaussians(n, m, d, rng)
    return x * np.exp(4 * rng.standard_normal((n, 1))), y * np.exp(4 * rng.standard_normal((m, 1)))


def lattice(n, m, d, rng):
    grid = np.stack(np.meshgrid(np.arange(8.0), np.arange(8.0)), axis=-1).reshape(-1, 2)
    return grid, grid + rng.choice([0.0, 1.0, 0.5], 2)


def shuffled(n, m, d, rng):
    x = rng.standard_normal((n, d))
    return x, x[rng.permutation(n)]


KINDS = [gaussians, rounded, of_two_points, collinear, of_any_unit, repeated, of_many_widths, lattice, shuffled]


def drawn(kind, seed):
    """A sample of that kind, half of them with weights, some of which are 0 or 1e-9 of the others."""
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 80, 2)
    x, y = kind(n, m, int(rng.choice([1, 2, 2, 3, 5, 16])), rng)
    if rng.random() < 0.5:
        return x, y, None, None
    weights = []
    for z in (x, y):
        mass = rng.exponential(size=len(z)) * (rng.random(len(z)) < 0.7)
        mass[0] += 1e-9
        weights.append(mass / mass.sum())
    return x, y, *weights


def agree(kind, seeds):
    for seed in seeds:
        sample = drawn(kind, seed)
        found, dense = solve_exact(*sample, route="sparse"), solve_exact(*sample, route="dense")
        assert found.w1 == pytest.approx(dense.w1, rel=1e-12), seed
        assert max(found.lower, dense.lower) <= min(found.upper, dense.upper), seed
        assert found.lower <= found.w1 <= found.upper <= found.lower + allowed_width(found.w1, found.longest_move), seed
        assert verify_exact(found, *sample).w1 == found.w1, seed


@pytest.mark.parametrize("kind", KINDS)
def test_both_routes_prove_one_value_on_every_kind_of_sample(kind):
    agree(kind, range(12))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_both_routes_prove_one_value_on_2000_samples(kind):
    agree(kind, range(100, 100 + math.ceil(2000 / len(KINDS))))


@pytest.mark.parametrize("d", [1, 2, 3, 16])
def test_plans_and_potentials_of_the_sparse_route_are_those_of_a_solution(d):
    rng = np.random.default_rng(d)
    x, y = gaussians(300, 211, d, rng)
    x[7] = x[3]
    a = rng.dirichlet(np.full(300, 0.5))
    a[[0, 7]] = 0
    a /= a.sum()
    found = solve_exact(x, y, a, route="sparse")
    rows, cols = np.bincount(found.plan.rows, found.plan.mass, 300), np.bincount(found.plan.cols, found.plan.mass, 211)
    assert rows == pytest.approx(a, abs=1e-15)
    assert cols == pytest.approx(np.full(211, 1 / 211), abs=1e-15)
    assert len(found.plan.mass) <= 300 + 211 - 1
    cost = cdist(x, y)
    assert found.plan.mass @ cost[found.plan.rows, found.plan.cols] == pytest.approx(found.w1, rel=1e-13)
    assert (found.u[:, None] + found.v - cost).max() <= 1e-10
    assert a @ found.u + found.v.mean() == pytest.approx(found.w1, rel=1e-10)
    assert (cost - found.u[:, None] - found.v).min(axis=1) == pytest.approx(0, abs=1e-9)  # every point has a tight pair


@pytest.mark.parametrize("d", [2, 16])
def test_the_value_does_not_depend_on_threads_blocks_or_the_order_of_points(d, monkeypatch):
    rng = np.random.default_rng(5)
    x, y = gaussians(400, 300, d, rng)
    first = solve_exact(x, y, route="sparse")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    again = solve_exact(x, y, route="sparse")
    assert (again.w1, again.rounds) == (first.w1, first.rounds)
    assert np.array_equal(again.u, first.u)
    monkeypatch.setattr(pricing, "BLOCK_ROWS", 100)
    assert solve_exact(x, y, route="sparse").w1 == pytest.approx(first.w1, rel=1e-13)
    assert solve_exact(x[::-1], y, route="sparse").w1 == pytest.approx(first.w1, rel=1e-13)
    assert solve_exact(y, x, route="sparse").w1 == pytest.approx(first.w1, rel=1e-13)


def test_optimal_potentials_leave_one_round_and_wrong_ones_change_no_value():
    x, y = gaussians(500, 400, 4, np.random.default_rng(6))
    first = solve_exact(x, y, route="sparse")
    again = solve_exact(x, y, potentials=(first.u, first.v))
    assert (again.rounds, again.route) == (1, "sparse")
    rng = np.random.default_rng(7)
    for u, v in ((np.zeros(500), np.zeros(400)), (first.u + 5, first.v - 5), (rng.standard_normal(500), -first.v),
                 (1e6 * first.u, 1e6 * first.v)):  # fmt: skip
        assert solve_exact(x, y, potentials=(u, v)).w1 == pytest.approx(first.w1, rel=1e-12)


@pytest.mark.parametrize("d", [2, 16])
def test_a_time_limit_gives_an_interval_and_no_number(d):
    x, y = gaussians(600, 500, d, np.random.default_rng(8))
    whole = solve_exact(x, y)
    found = solve_exact(x, y, time_limit=1e-9)
    assert math.isnan(found.w1)
    assert (found.is_exact, whole.is_exact) == (False, True)
    assert found.rounds == 0
    assert found.seconds > 0
    assert 0 < found.lower < whole.w1 < found.upper < np.inf
    assert str(found).startswith("W1 is in [")
    assert solve_exact(x, y, time_limit=600).w1 == pytest.approx(whole.w1, rel=1e-12)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_solve_that_is_stopped_after_any_round_proves_an_interval(most, monkeypatch):
    x, y = gaussians(700, 700, 2, np.random.default_rng(9))
    whole = solve_exact(x, y)
    monkeypatch.setattr(rounds, "MOST_ROUNDS", most)
    found = solve_exact(x, y, route="sparse")
    assert found.rounds <= most
    assert found.lower <= whole.w1 <= found.upper
    assert found.upper - found.lower < 0.3 * whole.w1


def test_pairs_beyond_what_memory_holds_stop_a_solve_with_an_interval(monkeypatch):
    x, y = gaussians(300, 300, 3, np.random.default_rng(10))
    monkeypatch.setattr(sparse, "free_memory", lambda: 2 * sparse.BYTES_A_PAIR * 100)
    found = solve_exact(x, y, route="sparse")
    assert not found.is_exact
    assert found.lower < solve_exact(x, y, route="dense").w1 < found.upper


def test_the_same_sample_gives_the_same_bits():
    x, y = gaussians(400, 500, 3, np.random.default_rng(11))
    first, second = (solve_exact(x, y, route="sparse") for _ in range(2))
    assert np.array_equal(first.u, second.u)
    assert np.array_equal(first.plan.mass, second.plan.mass)


def test_no_committed_solve_took_more_memory_than_is_counted_before_one_is_begun():
    rows = otbench.load(Path(otbench.__file__).parent.parent / "results" / "growth").query("solver == 'sparse'")
    counted = [sparse.bytes_needed(n, n, d) for n, d in zip(rows["n"], rows["dim"], strict=True)]
    assert len(rows) > 30
    assert (rows["peak_memory_bytes"] <= counted).all()


def planted(monkeypatch, name, fault):
    real = getattr(pricing.PointCosts, name)
    monkeypatch.setattr(pricing.PointCosts, name, lambda self, *args: fault(real(self, *args)))


def test_a_look_around_that_loses_pairs_is_found_out(monkeypatch):
    """Whatever the search for pairs does, the certificate looks through all of them by itself."""
    x, y = gaussians(300, 300, 3, np.random.default_rng(12))
    whole = solve_exact(x, y)
    planted(monkeypatch, "near", lambda found: pricing.Arcs(*(part[: -len(found.rows) // 2] for part in found)))
    with contextlib.suppress(UncertifiedError):
        found = solve_exact(x, y, route="sparse")
        assert not found.is_exact or found.w1 == pytest.approx(whole.w1, rel=1e-12)
        assert found.lower <= whole.w1 <= found.upper


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"route": "fast"}, "route must be one of auto, dense, sparse; got 'fast'"),
        ({"time_limit": 0}, "time_limit must be a number of seconds above 0"),
        ({"time_limit": math.nan}, "time_limit must be a number of seconds above 0"),
        ({"time_limit": 5, "route": "dense"}, "time_limit needs the sparse route"),
        ({"potentials": ([0.0], [0.0])}, "potentials must have 3 and 2 numbers; got 1 and 1"),
        ({"potentials": ([0.0, 1, math.nan], [0.0, 0])}, "potentials u"),
        ({"potentials": 3}, "potentials must be a pair"),
        ({"potentials": ([0.0] * 3, [0.0] * 2), "route": "dense"}, "potentials are for the sparse route"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_one_line(options, said):
    with pytest.raises(InputError, match=said) as caught:
        solve_exact(np.zeros((3, 2)), np.ones((2, 2)), **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("most", [0, 1])
def test_a_stopped_solve_has_feasible_potentials_that_prove_its_lower_end(most, monkeypatch):
    """Weak duality, by the whole matrix of distances."""
    x, y = gaussians(200, 150, 2, np.random.default_rng(15))
    a, b = (weights / weights.sum() for weights in (np.arange(1.0, 201), np.arange(1.0, 151)))
    monkeypatch.setattr(rounds, "MOST_ROUNDS", most)
    found = solve_exact(x, y, a, b, route="sparse")
    assert not found.is_exact
    distances = cdist(x, y)
    assert (found.u[:, None] + found.v - distances).max() <= 1e-14 * distances.max()
    assert a @ found.u + b @ found.v == pytest.approx(found.lower, rel=1e-12)
    assert found.plan.mass @ distances[found.plan.rows, found.plan.cols] <= found.upper * (1 + 1e-12)


def test_an_interval_is_not_verified_as_a_value():
    x, y = gaussians(300, 300, 2, np.random.default_rng(13))
    stopped = solve_exact(x, y, time_limit=1e-9)
    assert isinstance(stopped, ExactSolution)
    with pytest.raises(UncertifiedError, match="the value is not there, as the solver was stopped"):
        verify_exact(stopped, x, y)


@pytest.mark.parametrize("name", ["spheres", "segments"])
def test_on_circles_and_segments_mass_moves_on_in_few_rounds(name):
    """Supports of dimension 1, where mass that is left over may have to move on along all of them."""
    pair = problem(name, dim=2).sample(1024, seed=0)
    found = solve_exact(pair.x, pair.y, route="sparse")
    assert found.is_exact
    assert found.rounds <= 30
    assert found.w1 == pytest.approx(solve_exact(pair.x, pair.y, route="dense").w1, rel=1e-12)


def test_along_curves_of_the_plane_all_pairs_are_taken_as_long_as_they_are_faster(monkeypatch):
    monkeypatch.setattr(exact, "DENSE_PAIRS_IN_THE_PLANE", 100**2)
    monkeypatch.setattr(exact, "DENSE_PAIRS_ALONG_CURVES", 300**2)
    area = np.random.default_rng(15).standard_normal((2, 300, 2))
    for n, of_curves in ((100, "dense"), (300, "dense"), (301, "sparse")):
        pair = problem("segments", dim=2).sample(n, seed=0)
        assert solve_exact(pair.x, pair.y).route == of_curves
        assert solve_exact(*area).route == "sparse"
        assert solve_exact(pair.x, area[1]).route == "sparse", "one of them is no curve"


def test_what_the_rounds_give_up_is_solved_with_all_pairs_where_they_fit(monkeypatch):
    x, y = gaussians(300, 300, 3, np.random.default_rng(14))
    monkeypatch.setattr(rounds, "MOST_ROUNDS", 1)
    monkeypatch.setattr(exact, "DENSE_PAIRS", 100)
    found = solve_exact(x, y)
    assert (found.is_exact, found.route) == (True, "dense")
    assert not solve_exact(x, y, route="sparse").is_exact
