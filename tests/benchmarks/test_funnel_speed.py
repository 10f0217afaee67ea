"""What it costs to draw funnel points, a training step's fresh ones and a sample."""

from side_by_side import take_turns

from otbench.problems import problem


def test_a_thousand_funnel_points_are_drawn_within_sixty_milliseconds(benchmark):
    p = problem("funnels", dim=128, funnels=256)
    n = 1024 if benchmark.enabled else 64
    parties = {
        "coupled sample with gradients": lambda: p.sample(n, mode="coupled"),
        "fresh x and y of one step": lambda: p.fresh(n, n, 0, 1),
    }
    pair = benchmark.pedantic(parties["coupled sample with gradients"], rounds=5, warmup_rounds=1)
    assert pair.coupled_w1 > 0
    turns = take_turns(parties, turns=31 if benchmark.enabled else 1)
    print("\n" + turns.report(f"d = 128, 256 funnels, n = {n}"))
    if benchmark.enabled:
        assert max(turns.median(name) for name in parties) <= 0.060
