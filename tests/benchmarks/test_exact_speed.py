"""The exact side against bare POT and scipy: what the certificate costs."""

import warnings

import pytest
from scipy.optimize import linear_sum_assignment
from side_by_side import take_turns

from otbench.problems import problem
from otbench.transport.dense import cost_matrix, solve_cost, verify_cost
from otbench.transport.pot import MAX_ITERATIONS


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
