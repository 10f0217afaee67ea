"""The study of speed: training steps of every engine, exact solves, and how long a critic takes; one row each."""

import importlib.util
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from otbench.methods.functions import on_union
from otbench.problems import problem
from otbench.results.schema import SCHEMA
from otbench.results.store import Row
from otbench.spec import Spec
from otbench.studies.plan import StudyPlan
from otbench.studies.timed_training import Rounding, Training, clock, engine_of, quartiles
from otbench.transport.bounds import Ladder
from otbench.transport.dense import cost_matrix, solve_cost
from otbench.types import SamplePair

#: Training steps between two readings of a critic.
STEPS_PER_READING = 64

#: The number of samples on which an exact solve and a critic's arrival are timed.
TIMED_SEEDS = 3

#: The share of its final slope at which a critic is said to have arrived.
ARRIVED = 0.9


#: The engines that are timed: the plain loop, and those of ``timed_training.ENGINES``.
EngineName = Literal["plain", "batched", "compiled", "graph", "compiled_graph"]


class Core(Spec):
    """What one core of a processor is timed with, to be held against a GPU: engines, and critics at once."""

    kind: ClassVar[str] = "core table"

    engines: list[EngineName] = Field(min_length=1)
    critics: list[int] = Field(min_length=1)


class TimingPlan(StudyPlan):
    """What to measure: engines × shapes × critics, exact solves by n and dimension, and the arrival of critics.

    A shape is [width, batch]: two hidden layers of that width, and that many points of either sample per step.
    ``dtypes`` are those of the matrix products, for every engine that can have them. Where there is a ``core``, a CPU
    is there to be held against a GPU, and makes those measurements alone, in float32.
    """

    kind: ClassVar[str] = "timing table"
    timed: ClassVar[bool] = True

    dim: int = Field(16, ge=1)
    shapes: list[Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=2)]] = Field(min_length=1)
    critics: list[int] = Field(min_length=1)
    engines: list[EngineName] = Field(min_length=1)
    dtypes: list[Rounding] = Field(["float32"], min_length=1)
    core: Core | None = None
    exact_n: list[int] = Field(default_factory=list)
    exact_dims: list[int] = Field(default_factory=list)
    arrival_dims: list[int] = Field(default_factory=list)
    repeats: int = Field(5, ge=3)

    def records(self, device: str) -> dict[str, list[str]]:
        return {measurement.key: [measurement.key] for measurement in self.measurements(device)}

    def measurements(self, device: str) -> "list[Training | Exact | Arrival]":
        """What the plan measures on a device, in order: graphs on a GPU alone, the plain loop with one critic alone."""
        core = self.core if device == "cpu" else None
        training = [
            Training(engine, width, together, self.dim, batch, self.repeats, dtype)
            for width, batch in self.shapes
            for engine in _there((core or self).engines, device)
            for dtype in _roundings(engine, ["float32"] if core else self.dtypes, device)
            for together in ((core or self).critics if engine != "plain" else [1])
        ]
        if core:
            return list(training)
        exact = [Exact(dim, n) for dim in self.exact_dims for n in self.exact_n]
        return [*training, *exact, *(Arrival(dim) for dim in self.arrival_dims)]


def measure(plan: TimingPlan, job: str, device: str) -> Row:
    """The measurement of that key, as a row."""
    (measurement,) = (m for m in plan.measurements(device) if m.key == job)
    return _with_load(measurement, device)


def _there(engines: Sequence[str], device: str) -> list[str]:
    """Those of the engines that the device and its software can run."""
    engines = [engine for engine in engines if "graph" not in engine or device.startswith("cuda")]
    compiled = [engine for engine in engines if "compiled" in engine]
    if compiled and (missing := _missing_compiler(device)):
        _say_once(f"no {missing} is there: {' and '.join(compiled)} are left out")
        engines = [engine for engine in engines if engine not in compiled]
    return engines


@cache
def _say_once(text: str) -> None:
    print(text, file=sys.stderr)


def _missing_compiler(device: str) -> str:
    """What compiling a step for a device lacks on this machine; "" where it lacks nothing that can be told so."""
    if device == "cpu":
        return "" if any(map(shutil.which, ("g++", "c++", "clang++"))) else "C++ compiler"
    if importlib.util.find_spec("triton") is None:
        return "triton"
    return "" if any(map(shutil.which, ("gcc", "cc", "clang"))) else "C compiler"  # triton's launchers are of C


def _roundings(engine: str, dtypes: Sequence[Rounding], device: str) -> list[Rounding]:
    """Those of the dtypes that an engine can have on a device: the plain loop is of float32, and compiled steps are
    not of bfloat16."""
    if engine == "plain":
        return ["float32"]
    here = [dtype for dtype in dtypes if dtype != "tf32" or device.startswith("cuda")]
    return [dtype for dtype in here if dtype != "bfloat16" or "compiled" not in engine]


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
