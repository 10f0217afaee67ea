"""What it costs to read a critic, and to re-check what is stored."""

import numpy as np
from side_by_side import take_turns
from small import derive

from otbench.methods import WeightClip
from otbench.methods.audit import audit, audit_many
from otbench.methods.functions import on_union
from otbench.methods.train import train, train_many
from otbench.problems import problem
from otbench.report.check.rules import check_results
from otbench.results.store import Results
from otbench.transport.alignment import alignment
from otbench.transport.bounds import CriticValues, Ladder
from otbench.transport.dense import cost_matrix, solve_cost


def test_a_critic_is_read_in_a_few_cost_matrices_time(benchmark):
    n = 1024 if benchmark.enabled else 128
    pair = problem("shared_mass", dim=32, overlap=0.5).sample(n, mode="coupled")
    cost = cost_matrix(pair.x, pair.y)
    exact, ladder = solve_cost(cost, pair.a, pair.b), Ladder(cost, pair.a, pair.b)
    critic = train(pair, WeightClip(steps=200), seed=0).critic

    def evaluate():
        fx, fy, gx, gy = on_union(critic, pair.x, pair.y)
        rays = alignment(pair, exact.plan, gx, gy)
        return ladder.bounds(fx, fy, spectral_constant=critic.constants()[1], alignment=rays)

    bounds = benchmark.pedantic(evaluate, rounds=5, warmup_rounds=1)
    assert bounds.slope <= exact.w1
    turns = take_turns(
        {"ladder with gradients": evaluate, "cost matrix": lambda: cost_matrix(pair.x, pair.y)},
        turns=15 if benchmark.enabled else 1,
    )
    ratio = turns.ratio("ladder with gradients", "cost matrix")
    print("\n" + turns.report(f"one critic, n = {n}: {ratio:.2f} cost matrices"))
    if benchmark.enabled:
        assert ratio <= 8


def test_many_critics_are_audited_for_little_more_than_their_ladders(benchmark):
    """W1 is solved once for all of them, and the distinct points of the samples are told apart once."""
    n, count = (512, 8) if benchmark.enabled else (64, 2)
    pair = problem("shared_mass", dim=16, overlap=0.5).sample(n, mode="independent")
    fitted = train_many([pair] * count, [WeightClip(steps=100)] * count, list(range(count)))
    ladder = Ladder(cost_matrix(pair.x, pair.y), pair.a, pair.b)
    values = [CriticValues(*on_union(fit, pair.x, pair.y)[:2]) for fit in fitted]
    found = benchmark.pedantic(audit_many, (fitted, pair.x, pair.y), rounds=3)
    turns = take_turns(
        {
            "one by one": lambda: [audit(fit, pair.x, pair.y) for fit in fitted],
            "audit_many": lambda: audit_many(fitted, pair.x, pair.y),
            "ladders alone": lambda: ladder.bounds_of(values),
        },
        turns=7 if benchmark.enabled else 1,
    )
    ratio = turns.ratio("one by one", "audit_many")
    print("\n" + turns.report(f"{count} critics, n = {n}: {ratio:.2f} x one by one"))
    assert [bounds.c_transform for bounds in found] == [bounds.c_transform for bounds in ladder.bounds_of(values)]
    if benchmark.enabled:
        assert ratio >= 2


def test_stored_results_are_rechecked_quickly(benchmark, small_results):
    results = Results(small_results)
    rows, timings = results.rows(), results.timings()
    turns = take_turns(
        {"tables": lambda: derive(rows, timings), "check": lambda: check_results(results)},
        turns=5 if benchmark.enabled else 1,
    )
    found = benchmark.pedantic(check_results, (results,), rounds=2)
    print("\n" + turns.report(f"{len(rows)} rows"))
    assert not np.concatenate([list(map(str, v)) for v in found.values()]).size
