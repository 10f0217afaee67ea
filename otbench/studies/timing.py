"""The study of speed: training steps of every engine, exact solves, and how long a critic takes; one row each."""

import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from otbench.methods.functions import on_union
from otbench.problems import problem
from otbench.results.schema import SCHEMA
from otbench.results.store import Row
from otbench.studies.plan import StudyPlan
from otbench.studies.timed_training import Training, clock, engine_of, quartiles
from otbench.transport.bounds import Ladder
from otbench.transport.dense import cost_matrix, solve_cost
from otbench.types import SamplePair

#: Training steps between two readings of a critic.
STEPS_PER_READING = 64

#: The number of samples on which an exact solve and a critic's arrival are timed.
TIMED_SEEDS = 3

#: The share of its final slope at which a critic is said to have arrived.
ARRIVED = 0.9


class TimingPlan(StudyPlan):
    """What to measure: engines × shapes × critics, exact solves by n and dimension, and the arrival of critics.

    A shape is [width, batch]: two hidden layers of that width, and that many points of either sample per step.
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
        return {measurement.key: [measurement.key] for measurement in self.measurements(device)}

    def measurements(self, device: str) -> "list[Training | Exact | Arrival]":
        """What the plan measures on a device, in order: graphs on a GPU alone, the plain loop with one critic alone."""
        training = [
            Training(engine, width, critics, self.dim, batch, self.repeats)
            for width, batch in self.shapes
            for engine in _there(self.engines, device)
            for critics in (self.critics if engine != "plain" else [1])
        ]
        exact = [Exact(dim, n) for dim in self.exact_dims for n in self.exact_n]
        return [*training, *exact, *(Arrival(dim) for dim in self.arrival_dims)]


def measure(plan: TimingPlan, job: str, device: str) -> Row:
    """The measurement of that key, as a row."""
    (measurement,) = (m for m in plan.measurements(device) if m.key == job)
    return _with_load(measurement, device)


def _there(engines: Sequence[str], device: str) -> list[str]:
    """Those of the engines that the device and its software can run."""
    engines = [engine for engine in engines if engine != "graph" or device.startswith("cuda")]
    if "compiled" in engines and device == "cpu" and not any(map(shutil.which, ("g++", "c++", "clang++"))):
        print("no C++ compiler is there: the compiled engine is left out", file=sys.stderr)
        engines.remove("compiled")
    return engines


def _with_load(measurement: "Training | Exact | Arrival", device: str) -> Row:
    """A measurement as a row, with the larger of the machine's loads before and after it."""
    load = os.getloadavg()[0]
    measured = measurement.measure(device)
    load = max(load, os.getloadavg()[0])
    names: Row = {"schema": SCHEMA, "key": measurement.key, "kind": measurement.kind}
    return {**names, "device": device, "threads": 1, "load": load, **measured}


@dataclass(frozen=True)
class Exact:
    """A measurement: the seconds of an exact solve of n against n independent points with its certificate, and
    those of the cost matrix."""

    kind: ClassVar[str] = "exact"

    dim: int
    n: int

    @property
    def key(self) -> str:
        return f"exact {self.dim} {self.n}"

    def measure(self, device: str) -> Row:
        costs, solves, gaps = [], [], []
        for seed in range(TIMED_SEEDS):
            pair = problem("translation", dim=self.dim).sample(self.n, seed=seed)
            start = time.perf_counter()
            cost = cost_matrix(pair.x, pair.y)
            costs.append(time.perf_counter() - start)
            solution = solve_cost(cost, pair.a, pair.b)
            solves.append(solution.seconds)
            gaps.append(solution.gap)
        return {
            **asdict(self),
            "repeats": TIMED_SEEDS,
            **quartiles("exact_seconds", solves),
            **quartiles("cost_seconds", costs),
            "largest_gap": max(gaps),
        }


@dataclass(frozen=True)
class Arrival:
    """A measurement: the steps and seconds after which a critic stays above ARRIVED times its final slope, beside the
    seconds of the exact solve."""

    kind: ClassVar[str] = "arrival"

    dim: int

    @property
    def key(self) -> str:
        return f"arrival {self.dim}"

    def measure(self, device: str) -> Row:
        from otbench.methods.training.device import one_thread

        steps, seconds, exact = [], [], []
        for seed in range(TIMED_SEEDS):
            pair = problem("translation", dim=self.dim).sample(1024, mode="coupled", seed=seed)
            cost = cost_matrix(pair.x, pair.y)
            exact.append(solve_cost(cost, pair.a, pair.b).seconds)
            with one_thread():
                slopes, passed = _climb(pair, Ladder(cost, pair.a, pair.b), seed, device)
            below = np.flatnonzero(np.array(slopes) < ARRIVED * slopes[-1])
            blocks = int(below[-1]) + 2 if len(below) else 1
            steps.append(float(blocks * STEPS_PER_READING))
            seconds.append(sum(passed[:blocks]))
        return {
            "dim": self.dim,
            "n": 1024,
            "repeats": TIMED_SEEDS,
            **quartiles("arrival_steps", steps),
            **quartiles("arrival_seconds", seconds),
            **quartiles("exact_seconds", exact),
        }


def _climb(pair: SamplePair, ladder: Ladder, seed: int, device: str) -> tuple[list[float], list[float]]:
    """The slope of one critic after every STEPS_PER_READING steps, and the seconds of those, without the readings."""
    from otbench.methods import WeightClip

    method, slopes, seconds = WeightClip(), [], []
    engine = engine_of("graph" if device.startswith("cuda") else "batched", method, [pair], device, seed)
    engine.prepare()
    for first in range(0, method.steps, STEPS_PER_READING):
        seconds.append(clock(partial(_steps, engine, first), STEPS_PER_READING, device))
        (critic, *_) = engine.stack.read(engine.stack.parameters, engine.clip.tolist())
        slopes.append(ladder.slope(*on_union(critic, pair.x, pair.y)[:2])[1])
    return slopes, seconds


def _steps(engine: Any, first: int, count: int) -> None:
    engine.run(first, first + count)
