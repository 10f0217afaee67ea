"""What the monitor costs in a training loop, beside the distances that it needs, and the metric beside a step."""

import pytest
import torch
from scipy.spatial.distance import cdist
from side_by_side import take_turns

import otbench
from otbench.torch import W1Monitor


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


@pytest.mark.parametrize(("batch", "dim"), [(64, 16), (256, 784)])
def test_an_update_of_the_metric_costs_what_the_monitor_does(batch, dim, benchmark):
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(batch, dim, generator=generator) + shift for shift in (0.0, 0.3))
    critic = torch.nn.Sequential(
        torch.nn.Linear(dim, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1)
    )
    optimiser = torch.optim.RMSprop(critic.parameters(), lr=0.0)
    metric, held_out = W1Monitor(), W1Monitor(critic)
    fx, fy = critic(x).detach(), critic(y).detach()

    def step():
        optimiser.zero_grad()
        (critic(y).mean() - critic(x).mean()).backward()
        optimiser.step()

    benchmark.pedantic(metric.update, (fx, fy, x, y), rounds=3)
    turns = take_turns(
        {"step": step, "otbench.monitor": lambda: otbench.monitor(fx, fy, x, y),
         "update": lambda: metric.update(fx, fy, x, y), "update, held out": lambda: held_out.update(fx, fy, x, y)},
        turns=50 if benchmark.enabled else 1,
    )  # fmt: skip
    print("\n" + turns.report(f"W1Monitor.update of {batch} + {batch} points, d = {dim}"))
    if benchmark.enabled:
        assert turns.ratio("update", "otbench.monitor") <= 2.0
