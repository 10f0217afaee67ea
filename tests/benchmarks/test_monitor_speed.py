"""What the monitor costs in a training loop, beside the distances that it needs, formed by scipy."""

import pytest
import torch
from scipy.spatial.distance import cdist
from side_by_side import take_turns

import otbench


@pytest.mark.parametrize(("batch", "dim"), [(64, 784), (256, 64)])
def test_the_monitor_costs_at_most_twice_scipy_s_distances_of_the_batches(batch, dim, benchmark):
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(batch, dim, generator=generator) + shift for shift in (0.0, 0.3))
    fx, fy = -x.sum(1) / dim, -y.sum(1) / dim
    points = x.double().numpy(), y.double().numpy()
    benchmark.pedantic(otbench.monitor, (fx, fy, x, y), rounds=3)
    turns = take_turns(
        {"otbench.monitor": lambda: otbench.monitor(fx, fy, x, y), "cdist": lambda: cdist(*points)},
        turns=200 if benchmark.enabled else 1,
    )
    ratio = turns.ratio("otbench.monitor", "cdist")
    print("\n" + turns.report(f"monitor of {batch} + {batch} float32 points, d = {dim}: {ratio:.2f} x cdist"))
    if benchmark.enabled:
        assert ratio <= 2.0
