"""What it costs to draw funnel points, a training step's fresh ones and a sample."""

import numpy as np
from scipy.spatial.distance import cdist
from side_by_side import take_turns

from otbench.problems import problem


def test_funnel_points_cost_a_few_tables_of_distances_to_the_centres(benchmark):
    p = problem("funnels", dim=128, funnels=256)
    n = 1024 if benchmark.enabled else 64
    points, centres = np.random.default_rng(0).random((n, 128)), np.random.default_rng(1).random((256, 128))
    parties = {
        "distances to the centres": lambda: cdist(points, centres),
        "coupled sample with gradients": lambda: p.sample(n, mode="coupled"),
        "fresh x and y of one step": lambda: p.fresh(n, n, 0, 1),
    }
    pair = benchmark.pedantic(parties["coupled sample with gradients"], rounds=5, warmup_rounds=1)
    assert pair.coupled_w1 > 0
    turns = take_turns(parties, turns=31 if benchmark.enabled else 1)
    print("\n" + turns.report(f"d = 128, 256 funnels, n = {n}"))
    if benchmark.enabled:
        assert turns.ratio("coupled sample with gradients", "distances to the centres") <= 3
        assert turns.ratio("fresh x and y of one step", "distances to the centres") <= 3
