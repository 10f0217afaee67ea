"""Measure speed: training steps of every engine, exact solves, and the time a critic needs; one flat row each."""

import gc
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import psutil
from pydantic import Field

from otbench.bounds import Ladder
from otbench.columns import SCHEMA
from otbench.critics.functions import on_union
from otbench.exact import cost_matrix, solve_cost
from otbench.plans import Plan
from otbench.problems import problem
from otbench.rows import Row
from otbench.types import SamplePair

#: Seconds one timed block of steps should last: long against a clock tick, short against a neighbour's burst.
BLOCK_SECONDS = 0.4

#: Side of the square matrices whose product is the rate a step is held against: large enough to fill the device.
PRODUCT_SIDE = {"cpu": 1024, "cuda": 8192}

#: Steps between two readings of a critic on its way.
STEPS_A_READING = 64

#: Samples an exact solve and a critic's arrival are timed on.
SEEDS = 3

#: The share of its final slope at which a critic is said to have arrived.
ARRIVED = 0.9


class TimingPlan(Plan):
    """What to measure: engines × shapes × critics, exact solves over n, and critics on their way to their slope.

    A shape is [width, batch]: two hidden layers of that width, that many points of either sample a step.
    """

    kind: ClassVar[str] = "timing table"
    timed: ClassVar[bool] = True

    dim: int = Field(16, ge=1)
    shapes: list[Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=2)]] = Field(min_length=1)
    critics: list[int] = Field(min_length=1)
    engines: list[Literal["plain", "batched", "compiled", "graph"]] = Field(min_length=1)
    exact_n: list[int] = Field(default_factory=list)
    exact_dims: list[int] = Field(default_factory=list)
    arrival_dims: list[int] = Field(default_factory=list)
    repeats: int = Field(5, ge=3)

    def records(self, device: str) -> dict[str, list[str]]:
        return {key: [key] for key in plan_keys(self, device)}

    def measure(self, job: str, device: str) -> list[Row]:
        return [measure(self, job, device)]


def plan_keys(plan: TimingPlan, device: str) -> list[str]:
    """The measurements of a plan on a device by name, in order: graphs are a GPU's, the plain loop trains one.

    A name says all that the measurement depends on, so that another plan's rows are never taken for this one's.
    """
    engines = [engine for engine in plan.engines if engine != "graph" or device.startswith("cuda")]
    if "compiled" in engines and device == "cpu" and not any(map(shutil.which, ("g++", "c++", "clang++"))):
        print("no C++ compiler is there: the compiled engine is left out", file=sys.stderr)
        engines.remove("compiled")
    training = [f"training {engine} {width} {count} d={plan.dim} batch={batch} repeats={plan.repeats}"
                for width, batch in plan.shapes for engine in engines
                for count in (plan.critics if engine != "plain" else [1])]  # fmt: skip
    exact = [f"exact {dim} {n}" for dim in plan.exact_dims for n in plan.exact_n]
    return training + exact + [f"arrival {dim}" for dim in plan.arrival_dims]


def measure(plan: TimingPlan, key: str, device: str) -> Row:
    """One measurement of the plan, as a row; the machine is asked for its load before and after."""
    load = os.getloadavg()[0]
    kind, *rest = key.split()
    if kind == "training":
        batch = int(rest[4].removeprefix("batch="))
        measured = _training(plan, rest[0], int(rest[1]), int(rest[2]), batch, device)
    elif kind == "exact":
        measured = _exact(int(rest[0]), int(rest[1]))
    else:
        measured = _arrival(int(rest[0]), device)
    load = max(load, os.getloadavg()[0])
    return {"schema": SCHEMA, "key": key, "kind": kind, "device": device, "threads": 1, "load": load, **measured}


def _training(plan: TimingPlan, engine: str, width: int, critics: int, batch: int, device: str) -> Row:
    """Seconds a step of ``critics`` critics in one batch, with the plain loop's and the matrix-product rate of the same
    minutes: the three are timed in turns."""
    import torch

    from otbench.critics.training import one_thread
    from otbench.methods import WeightClip

    method = WeightClip(widths=(width, width), batch=batch)
    pair = problem("translation", dim=plan.dim).sample(1024, mode="coupled")
    layers = sum(i * o for i, o in method.shapes(plan.dim))
    side = PRODUCT_SIDE["cpu" if device == "cpu" else "cuda"]
    with one_thread():
        gc.collect()
        before, start = _memory(device, reset=True), time.perf_counter()
        subject = _engine(engine, method, [pair] * critics, device)
        subject.prepare()
        build, grown = time.perf_counter() - start, _memory(device) - before
        plain = _engine("plain", method, [pair], device)
        square = torch.rand(side, side, device=device)

        def product(count: int) -> None:
            for _ in range(count):
                square @ square

        works: list[Callable[[int], Any]] = [lambda k: subject.run(0, k), lambda k: plain.run(0, k), product]
        seconds = _in_turns(works, plan.repeats, device)
    return {
        "engine": engine,
        "dim": plan.dim,
        "width": width,
        "batch": batch,
        "critics": critics,
        "repeats": plan.repeats,
        "build_seconds": build,  # with what only a first step does: compiling, capturing, loading
        "memory_bytes": grown,  # of the process or the device, by building the engine and its first steps
        **_quartiles("seconds_per_step", seconds[0]),
        **_quartiles("plain_seconds_per_step", seconds[1]),
        **_quartiles("product_seconds", seconds[2]),
        "flop_per_step": 6.0 * 2 * batch * layers * critics,  # forwards 2, backwards 4 a weight and row
        "product_flop": 2.0 * side**3,
    }


def _engine(engine: str, method: Any, pairs: list[SamplePair], device: str, seed: int = 0) -> Any:
    from otbench.critics.engine import Engine
    from otbench.critics.plain import PlainLoop

    if engine == "plain":
        return PlainLoop(pairs[0], method, device)
    if engine == "compiled" and len(pairs) == 1:
        pairs = pairs * 2  # the compiled step never trains one critic alone: its twin is a price
    several = pairs, [method] * len(pairs), [seed + k for k in range(len(pairs))]
    return Engine(*several, device, graphs=engine == "graph", compiled=engine == "compiled")


def _in_turns(works: Sequence[Callable[[int], Any]], repeats: int, device: str) -> list[list[float]]:
    """Seconds per unit of each work, one block of each after the other, ``repeats`` times, after a warm-up."""
    counts = []
    for work in works:
        work(1)
        count = 1
        for _ in range(2):  # the second estimate is of a warm machine
            count = max(1, min(4096, round(BLOCK_SECONDS * count / _clock(work, count, device))))
        counts.append(count)
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(repeats):
        for k, (work, count) in enumerate(zip(works, counts, strict=True)):
            seconds[k].append(_clock(work, count, device) / count)
    return seconds


def _clock(work: Callable[[int], Any], count: int, device: str) -> float:
    import torch

    def now() -> float:
        if device != "cpu":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    start = now()
    work(count)
    return now() - start


def _exact(dim: int, n: int) -> Row:
    """Seconds of an exact solve, certificate included, of n independent points a side; cost matrix apart."""
    costs, solves, gaps = [], [], []
    for seed in range(SEEDS):
        pair = problem("translation", dim=dim).sample(n, seed=seed)
        start = time.perf_counter()
        cost = cost_matrix(pair.x, pair.y)
        costs.append(time.perf_counter() - start)
        solution = solve_cost(cost, pair.a, pair.b)
        solves.append(solution.seconds)
        gaps.append(solution.gap)
    return {
        "dim": dim,
        "n": n,
        "repeats": SEEDS,
        **_quartiles("exact_seconds", solves),
        **_quartiles("cost_seconds", costs),
        "largest_gap": max(gaps),
    }


def _arrival(dim: int, device: str) -> Row:
    """Steps and seconds one critic takes to stay above ARRIVED of its final slope, beside the exact solve."""
    from otbench.critics.training import one_thread

    steps, seconds, exact = [], [], []
    for seed in range(SEEDS):
        pair = problem("translation", dim=dim).sample(1024, mode="coupled", seed=seed)
        cost = cost_matrix(pair.x, pair.y)
        exact.append(solve_cost(cost, pair.a, pair.b).seconds)
        with one_thread():
            slopes, clock = _climb(pair, Ladder(cost, pair.a, pair.b), seed, device)
        below = np.flatnonzero(np.array(slopes) < ARRIVED * slopes[-1])
        blocks = int(below[-1]) + 2 if len(below) else 1
        steps.append(float(blocks * STEPS_A_READING))
        seconds.append(sum(clock[:blocks]))
    return {
        "dim": dim,
        "n": 1024,
        "repeats": SEEDS,
        **_quartiles("arrival_steps", steps),
        **_quartiles("arrival_seconds", seconds),
        **_quartiles("exact_seconds", exact),
    }


def _climb(pair: SamplePair, ladder: Ladder, seed: int, device: str) -> tuple[list[float], list[float]]:
    """The slope of one critic after every STEPS_A_READING steps, and the seconds these took; readings apart."""
    from otbench.methods import WeightClip

    method, slopes, clock = WeightClip(), [], []
    engine = _engine("graph" if device.startswith("cuda") else "batched", method, [pair], device, seed)
    engine.prepare()
    for first in range(0, method.steps, STEPS_A_READING):
        clock.append(_clock(partial(_steps, engine, first), STEPS_A_READING, device))
        (critic, *_) = engine.stack.read(engine.stack.parameters, engine.clip.tolist())
        slopes.append(ladder.slope(*on_union(critic, pair.x, pair.y)[:2])[1])
    return slopes, clock


def _steps(engine: Any, first: int, count: int) -> None:
    engine.run(first, first + count)


def _quartiles(name: str, values: Sequence[float]) -> Row:
    q1, median, q3 = np.quantile(values, [0.25, 0.5, 0.75])
    return {f"{name}_q1": float(q1), f"{name}_median": float(median), f"{name}_q3": float(q3)}


def _memory(device: str, reset: bool = False) -> int:
    """Bytes in use: of this process on a CPU; the most since the last reset on a GPU."""
    if device == "cpu":
        return int(psutil.Process().memory_info().rss)
    import torch

    if reset:
        torch.cuda.reset_peak_memory_stats(device)
    return int(torch.cuda.max_memory_allocated(device))
