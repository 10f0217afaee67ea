"""Seconds, bytes and operations of the study of speed are told to the account that they belong to."""

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_clock import HandClock

import otbench.studies.timed_training as timed
import otbench.studies.timing as timing
from otbench.experiment.declaration import load_experiment
from otbench.results.store import Row
from otbench.studies.dispatch import measure
from otbench.studies.peak_memory import _status
from otbench.studies.timed_training import Training
from otbench.studies.timing import Arrival, Exact
from otbench.types import SamplePair


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    return HandClock(monkeypatch)


def assert_quartiles(row: Row, name: str, values: list[float]) -> None:
    seen = [row[f"{name}_{part}"] for part in ("q1", "median", "q3")]
    assert seen == pytest.approx([float(np.percentile(values, q)) for q in (25, 50, 75)])


def test_works_are_timed_by_turns_in_blocks_that_last_and_told_a_unit(clock: HandClock) -> None:
    """The first call, which may compile, counts for nothing; a block has 1 to 4096 units."""
    calls: list[tuple[int, int]] = []

    def work(k: int, first: float, unit: float) -> Callable[[int], None]:
        def does(count: int) -> None:
            warm = any(which == k for which, _ in calls)
            calls.append((k, count))
            clock.spend(unit * count if warm else first)

        return does

    units = (0.004, 1e-6, 3.0)
    told = timed.in_turns([work(k, 50.0, unit) for k, unit in enumerate(units)], 3, "cpu")
    assert [len(seconds) for seconds in told] == [3, 3, 3]
    for seconds, unit in zip(told, units, strict=True):
        assert seconds == pytest.approx([unit] * 3)
    assert calls[-9:] == [(0, 100), (1, 4096), (2, 1)] * 3, "blocks of 0.4 s, by turns"


class Stub:
    """Stands for an engine whose steps take a given time."""

    def __init__(self, clock: HandClock, step: float, prepare: float) -> None:
        self.clock, self.step, self.warm = clock, step, prepare

    def prepare(self) -> None:
        self.clock.spend(self.warm)

    def run(self, first: int, last: int) -> None:
        self.clock.spend(self.step * (last - first))


def test_a_training_tells_its_steps_those_of_the_plain_loop_and_the_product_apart(
    clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(self: Training, device: str, engine: str | None = None) -> Stub:
        clock.spend(30.0 if engine is None else 500.0)
        return Stub(clock, 0.25 if engine is None else 0.75, 100.0)

    monkeypatch.setattr(Training, "build", build)
    monkeypatch.setattr(timed, "peak_memory", lambda training, device: 12345)
    monkeypatch.setattr(timed, "PRODUCT_SIDE", {"cpu": 3, "cuda": 5})
    monkeypatch.setattr(timed, "COPY_BYTES", {"cpu": 64, "cuda": 5})
    monkeypatch.setattr(timed, "clock", lambda work, count, device: seconds_of(work, count, clock))
    row = Training("batched", width=7, critics=3, dim=5, batch=11, repeats=4).measure("cpu")
    assert row["seconds_prepare"] == 130.0
    assert row["peak_memory_bytes"] == 12345
    for name, unit in (("seconds_per_step", 0.25), ("plain_seconds_per_step", 0.75), ("product_seconds", 0.01),
                       ("copy_seconds", 0.01)):  # fmt: skip
        assert_quartiles(row, name, [unit])
    # a weight is multiplied once forwards and twice backwards, and as often added, for each of 2 x 11 points
    assert row["flop_per_step"] == 6 * (2 * 11) * (5 * 7 + 7 * 7 + 7 * 1) * 3
    assert (row["product_flop"], row["copy_bytes"]) == (2 * 3**3, 2 * 64)
    asked = {"engine": "batched", "width": 7, "critics": 3, "dim": 5, "batch": 11, "repeats": 4}
    assert {name: row[name] for name in asked} == asked


@pytest.mark.parametrize(
    ("said", "reason"),
    [(["not compiled:\n  g++ is gone"], "not compiled: g++ is gone"), ([], "the compiler gave no reason")],
)
def test_a_step_that_was_not_compiled_has_a_reason_in_its_row_and_no_time(
    said: list[str], reason: str, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(self: Training, device: str, engine: str | None = None) -> Stub:
        for line in said:
            logging.getLogger("otbench").warning(line)
        return Stub(clock, 0.25, 100.0)

    monkeypatch.setattr(Training, "build", build)
    monkeypatch.setattr(timed, "peak_memory", lambda training, device: None)
    row = Training("compiled", width=7, critics=3, dim=5, batch=11, repeats=4).measure("cpu")
    assert (row["compiled"], row["reason"]) == (False, reason)
    assert not any("per_step" in name or "product" in name for name in row)


def seconds_of(work: Callable[[int], Any], count: int, clock: HandClock) -> float:
    """What a work spends; a product of matrices, which knows no clock, spends 0.01 s."""
    start = clock.now
    work(count)
    return clock.now - start or 0.01 * count


def test_an_exact_solve_and_its_cost_matrix_have_their_own_seconds_and_the_gap_is_the_largest(
    clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, made = timing.solve_cost, iter([(0.5, 1e-12), (2.0, 3e-12), (1.0, 2e-12)])

    def solved(*arguments: Any) -> Any:
        seconds, gap = next(made)
        clock.spend(10_000.0)
        return replace(real(*arguments), seconds=seconds, gap=gap)

    monkeypatch.setattr(timing, "solve_cost", solved)
    clock.takes(timing, "cost_matrix", 7.0)
    row = Exact(dim=2, n=9).measure("cpu")
    assert_quartiles(row, "exact_seconds", [0.5, 2.0, 1.0])
    assert_quartiles(row, "cost_seconds", [7.0] * 3)
    assert (row["largest_gap"], row["dim"], row["n"], row["repeats"]) == (3e-12, 2, 9, 3)


FINAL = 10.0
BELOW, AT = 9.0 * (1 - 1e-12), 9.0

#: Slopes after every reading, and how many readings pass until the slope stays above 0.9 of the last one.
CLIMBS = [
    ([AT, FINAL, FINAL], 1),
    ([BELOW, AT, FINAL], 2),
    ([0.0, AT, BELOW, FINAL, FINAL], 4),
]


def test_a_critic_has_arrived_when_it_stays_above_and_its_seconds_are_those_until_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    climbs, seeds = iter(CLIMBS), []

    def climb(pair: SamplePair, ladder: Any, seed: int, device: str) -> tuple[list[float], list[float]]:
        slopes, _ = next(climbs)
        seeds.append(seed)
        return slopes, [10.0**k for k in range(len(slopes))]

    real, made = timing.solve_cost, iter([0.5, 2.0, 1.0])
    monkeypatch.setattr(timing, "_climb", climb)
    monkeypatch.setattr(timing, "problem", lambda name, dim: Small(dim))
    monkeypatch.setattr(timing, "solve_cost", lambda *arguments: replace(real(*arguments), seconds=next(made)))
    row = Arrival(dim=2).measure("cpu")
    blocks = [count for _, count in CLIMBS]
    assert seeds == [0, 1, 2]
    assert_quartiles(row, "arrival_steps", [64.0 * count for count in blocks])
    assert_quartiles(row, "arrival_seconds", [sum(10.0**k for k in range(count)) for count in blocks])
    assert_quartiles(row, "exact_seconds", [0.5, 2.0, 1.0])


class Small:
    """Stands for a problem of which a few points are enough."""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def sample(self, n: int, *, mode: str, seed: int) -> SamplePair:
        rng = np.random.default_rng(seed)
        return SamplePair(rng.standard_normal((4, self.dim)), rng.standard_normal((4, self.dim)))


def test_the_seconds_of_a_climb_are_those_of_its_steps_and_not_of_its_readings(
    clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = Small(2).sample(4, mode="coupled", seed=0)
    ladder = timing.Ladder(timing.cost_matrix(pair.x, pair.y), pair.a, pair.b)
    real = timing.engine_of

    def engine_of(*arguments: Any) -> Any:
        engine = real(*arguments)
        monkeypatch.setattr(engine, "run", lambda first, last: clock.spend(0.5 * (last - first) + (first == 0)))
        clock.takes(engine, "prepare", 1000.0)
        return engine

    monkeypatch.setattr(timing, "engine_of", engine_of)
    clock.takes(ladder, "slope", 70.0)
    slopes, seconds = timing._climb(pair, ladder, 0, "cpu")
    assert len(slopes) == len(seconds) > 3
    assert seconds == [33.0] + [32.0] * (len(seconds) - 1)


@pytest.mark.parametrize(("before", "after"), [(0.25, 1.75), (1.75, 0.25)])
def test_a_measurement_tells_the_larger_load_and_what_it_is_of(
    before: float, after: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = load_experiment("timing").plan
    assert isinstance(plan, timing.TimingPlan)
    plan = plan.model_copy(update={"exact_dims": [2], "exact_n": [5], "shapes": [], "arrival_dims": []})
    loads = iter([(before, 9.0, 8.0), (after, 7.0, 6.0)])
    monkeypatch.setattr("os.getloadavg", lambda: next(loads))
    (row,) = measure(plan, "exact 2 5", "cpu")
    assert row["load"] == 1.75
    told = {"schema": 3, "key": "exact 2 5", "kind": "exact", "device": "cpu", "threads": 1}
    assert {name: row[name] for name in told} == told


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system tells no memory")
def test_memory_is_told_in_bytes() -> None:
    """The kernel tells kibibytes in one file, pages in another."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    assert _status("VmSize") == pytest.approx(pages * os.sysconf("SC_PAGE_SIZE"), rel=1e-3)
    assert _status("NoSuchLine") == 0
