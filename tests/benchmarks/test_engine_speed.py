"""The batched engine against the plain loop, and against the core's own matrix products."""

import pytest
import torch
from side_by_side import take_turns

from otbench.methods import WeightClip
from otbench.methods.train import train
from otbench.methods.training.clipped import batch_size
from otbench.methods.training.compiled_step import worth_compiling
from otbench.methods.training.engine import Engine
from otbench.methods.training.plain_loop import PlainLoop
from otbench.problems import problem

PAIR = problem("translation", dim=16).sample(1024, mode="coupled")


@pytest.mark.parametrize(("width", "batch", "times_plain", "share"), [(64, 64, 8.0, 0.0), (128, 256, 1.7, 0.6)])
def test_the_engine_outruns_the_plain_loop(width, batch, times_plain, share, benchmark):
    method = WeightClip(widths=(width, width), batch=batch)
    count = batch_size(PAIR, method, "cpu")
    compiled = benchmark.enabled and worth_compiling(method, "cpu")  # takes seconds; tests/methods/training hold it
    engine = Engine([PAIR] * count, [method] * count, list(range(count)), "cpu", compiled=compiled)
    plain, square = PlainLoop(PAIR, method, "cpu"), torch.rand(1024, 1024)
    steps = 64 if benchmark.enabled else 4
    benchmark.pedantic(engine.run, (0, steps), rounds=3)
    turns = take_turns(
        {
            "plain loop": lambda: plain.run(0, steps),
            "engine": lambda: engine.run(0, steps),
            "matrix product": lambda: [square @ square for _ in range(4)],
        },
        turns=25 if benchmark.enabled else 1,
    )
    ratio = turns.ratio("plain loop", "engine") * count
    flop = 6 * 2 * batch * sum(i * o for i, o in method.shapes(16)) * count * steps
    rate = turns.ratio("matrix product", "engine") * flop / (4 * 2 * 1024**3)
    title = f"{steps} steps, width {width}, batch {batch} + {batch}: {count} critics a batch, "
    print("\n" + turns.report(title + f"{ratio:.2f} x plain, {rate:.2f} of the product rate"))
    if benchmark.enabled:
        assert ratio >= times_plain
        assert rate >= share


@pytest.mark.parametrize("width", [64, 128, 256, 512])
def test_one_critic_alone_is_nowhere_slower_than_the_plain_loop(width, benchmark):
    """Through ``otbench.train``, set-up included; from 2000 steps on a small critic's step is compiled, which takes
    seconds once and is left out here."""
    steps = 150 if benchmark.enabled else 4
    method = WeightClip(widths=(width, width), batch=64, steps=steps)
    benchmark.pedantic(train, (PAIR, method), rounds=3)
    turns = take_turns(
        {
            "plain loop": lambda: PlainLoop(PAIR, method, "cpu").run(0, steps),
            "otbench.train": lambda: train(PAIR, method),
        },
        turns=15 if benchmark.enabled else 1,
    )
    ratio = turns.ratio("plain loop", "otbench.train")
    print("\n" + turns.report(f"one critic, {steps} steps, width {width}, batch 64 + 64: {ratio:.2f} x plain"))
    if benchmark.enabled:
        assert ratio >= 1.0
