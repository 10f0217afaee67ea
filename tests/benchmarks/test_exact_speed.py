"""The exact side against bare POT and scipy: what the certificate costs."""

import subprocess
import sys
import warnings

import pytest
from scipy.optimize import linear_sum_assignment
from side_by_side import take_turns

from otbench.problems import problem
from otbench.transport.dense import cost_matrix, solve_cost, verify_cost
from otbench.transport.exact import solve_exact
from otbench.transport.pot import MAX_ITERATIONS
from otbench.transport.pricing import threads

READING = """
import sys, time
import numpy as np
from otbench.problems import problem
from otbench.studies.peak_memory import growth
from otbench.transport.point_ladder import PointLadder

n, dim = map(int, sys.argv[1:])
pair = problem("translation", dim=dim).sample(n)
rng = np.random.default_rng(0)
first, second = rng.standard_normal((dim, 64)) / dim**0.5, rng.standard_normal(64) / 8
fx, fy = (np.tanh(z @ first) @ second for z in (pair.x, pair.y))
start = time.perf_counter()
risen = growth(lambda: PointLadder(pair.x, pair.y, pair.a, pair.b).bounds(fx, fy))
print(time.perf_counter() - start, risen)
"""


@pytest.mark.parametrize("dim", [2, 32])
def test_the_certificate_costs_at_most_a_tenth_of_a_bare_solve(dim, benchmark):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ot
    n = 2000 if benchmark.enabled else 300
    pair = problem("translation", dim=dim).sample(n)
    cost = cost_matrix(pair.x, pair.y)
    solution = benchmark.pedantic(solve_cost, (cost, pair.a, pair.b), rounds=3)
    turns = take_turns(
        {
            "bare ot.emd2": lambda: ot.emd2(pair.a, pair.b, cost, numItermax=MAX_ITERATIONS, log=True),
            "solve_cost, certified": lambda: solve_cost(cost, pair.a, pair.b),
            "verify_cost": lambda: verify_cost(solution, cost, pair.a, pair.b),
            "scipy linear_sum_assignment": lambda: linear_sum_assignment(cost),
        },
        turns=9 if benchmark.enabled else 1,
    )
    rows, cols = linear_sum_assignment(cost)
    assert solution.w1 == pytest.approx(cost[rows, cols].mean(), rel=1e-12)
    ratio = turns.ratio("solve_cost, certified", "bare ot.emd2")
    print("\n" + turns.report(f"exact solve, n = {n}, d = {dim}: certified/bare = {ratio:.3f}"))
    if benchmark.enabled:
        assert ratio <= 1.10


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("dim", "least"), [(2, 1.0), (16, 10.0), (128, 5.0)])
def test_the_sparse_route_takes_a_tenth_of_bare_pot_at_8000_points(dim, least, benchmark):
    """Shifted Gaussians, points against the cost matrix of the same points: the sparse route includes its certificate,
    POT neither the matrix nor any proof."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ot
    n = 8000 if benchmark.enabled else 400
    pair = problem("translation", dim=dim).sample(n)
    cost = cost_matrix(pair.x, pair.y)
    found = benchmark.pedantic(solve_exact, (pair.x, pair.y), {"route": "sparse"}, rounds=1)
    turns = take_turns(
        {
            "bare ot.emd2": lambda: ot.emd2(pair.a, pair.b, cost, numItermax=MAX_ITERATIONS),
            "sparse, certified": lambda: solve_exact(pair.x, pair.y, route="sparse"),
        },
        turns=3 if benchmark.enabled else 1,
    )
    ratio = turns.ratio("bare ot.emd2", "sparse, certified")
    print("\n" + turns.report(f"exact solve, n = {n}, d = {dim}, {threads()} threads: bare/sparse = {ratio:.1f}"))
    assert found.is_exact
    if benchmark.enabled:
        assert ratio >= least


@pytest.mark.timeout(900)
@pytest.mark.parametrize("n", [3000, 5000])
@pytest.mark.parametrize("name", ["spheres", "segments"])
def test_along_curves_of_the_plane_the_route_that_is_taken_is_the_faster_one(name, n, benchmark):
    """Circles and segments, where the sparse route takes many rounds: never below 0.95 of the other one's speed."""
    n = n if benchmark.enabled else 300
    pair = problem(name, dim=2).sample(n)
    taken = benchmark.pedantic(solve_exact, (pair.x, pair.y), rounds=1)
    turns = take_turns(
        {
            "dense": lambda: solve_exact(pair.x, pair.y, route="dense"),
            "sparse": lambda: solve_exact(pair.x, pair.y, route="sparse"),
        },
        turns=3 if benchmark.enabled else 1,
    )
    other = "sparse" if taken.route == "dense" else "dense"
    ratio = turns.ratio(other, taken.route)
    print("\n" + turns.report(f"{name}, n = {n}, d = 2: {taken.route} is taken, {other}/{taken.route} = {ratio:.2f}"))
    if benchmark.enabled:
        assert ratio >= 0.95


@pytest.mark.parametrize("dim", [16])
def test_a_critic_is_read_on_20000_points_in_seconds_and_a_gigabyte(dim, benchmark):
    """In a process of its own, whose peak memory is counted without its libraries and points."""
    n, most_seconds = (20_000, 10.0) if benchmark.enabled else (600, 10.0)
    command = [sys.executable, "-c", READING, str(n), str(dim)]
    said = benchmark.pedantic(subprocess.check_output, (command,), {"text": True}, rounds=1)
    seconds, taken = map(float, said.split())
    print(f"\nthe ladder of one critic, n = {n}, d = {dim}: {seconds:.1f} s, {taken / 2**30:.2f} GiB")
    if benchmark.enabled:
        assert seconds <= most_seconds
        assert taken <= 2**30
