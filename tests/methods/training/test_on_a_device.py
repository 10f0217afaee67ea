"""Training on a GPU gives what it gives on the CPU. The same laws hold on the CPU with steps in place of the graph.

Steps of an engine with graphs are replayed on either, so that all that lies around a graph, its blocks, what is left
over and the state that is kept, is tested without one. ``cuda`` is marked gpu.
"""

from typing import Any

import numpy as np
import pytest
import torch
from hand_clock import HandClock

from otbench.methods import WeightClip
from otbench.methods.train import train, train_many
from otbench.methods.training.engine import STEPS_PER_GRAPH, Engine
from otbench.methods.training.network import Stack
from otbench.problems import problem
from otbench.types import Array

gpu = pytest.param("cuda", marks=pytest.mark.gpu)
DEVICES = pytest.mark.parametrize("device", ["cpu", gpu])

PAIR = problem("translation", dim=3).sample(64, mode="coupled", seed=1)
LAW = problem("translation", dim=3)

#: Rates at which fifty steps move a critic far beside any rounding; eps keeps rounding from deciding signs.
MOVING: dict[str, Any] = {"widths": (16, 9), "batch": 24, "clip": 0.1, "lr": 1e-3, "eps": 1e-4}

#: One block of a source and 7 steps more: whole graphs, then a block that has none.
STEPS = 64 + 7


def engine(device: str, count: int = 3, *, graphs: bool = False, law: bool = False, **fields: Any) -> Engine:
    """Critics that differ in clip value and seed."""
    methods = [WeightClip(**(MOVING | fields | {"clip": 0.05 * (k + 1)})) for k in range(count)]
    seeds = list(range(count))
    return Engine([PAIR] * count, methods, seeds, device, graphs=graphs, laws=[LAW] * count if law else None)


def state(of: Engine) -> list[Array]:
    """Parameters, and all that the optimiser keeps, as they are."""
    return [tensor.cpu().numpy().copy() for tensor in (of.stack.parameters, *of.optimise.state)]


def assert_near(one: list[Array], other: list[Array], within: float) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=within)


@DEVICES
@pytest.mark.parametrize("batch", [24, "full"])
@pytest.mark.parametrize("optimiser", ["rmsprop", "adam", "sgd"])
def test_float64_is_the_cpus_to_ten_digits(optimiser: str, batch: int | str, device: str) -> None:
    """Of graphs on the device, against steps on the CPU: nothing but the order of sums is another there."""
    fields = {"optimiser": optimiser, "batch": batch, "dtype": "float64", "lr": 0.1 if optimiser == "sgd" else 1e-3}
    here, there = engine("cpu", **fields), engine(device, graphs=True, **fields)
    first = state(here)
    for each in (here, there):
        each.run(0, STEPS)
    assert_near(state(here), state(there), 1e-10)
    assert np.abs(state(here)[0] - first[0]).max() > 1e-3


@DEVICES
def test_tanh_in_float32_is_the_cpus_to_rounding(device: str) -> None:
    here, there = engine("cpu", activation="tanh"), engine(device, activation="tanh", graphs=True)
    for each in (here, there):
        each.run(0, STEPS)
    assert_near(state(here)[:1], state(there)[:1], 2e-6)


@DEVICES
@pytest.mark.parametrize("fields", [{}, {"optimiser": "adam"}, {"batch": "full"}, {"clip_when": "before"}])
def test_a_graph_does_what_steps_do_and_what_is_left_over_after_it(fields: dict[str, Any], device: str) -> None:
    """In one run, and in runs of which some are shorter than a graph: of a block no step is done twice or left out."""
    steps, graph, pieces = engine(device, **fields), *(engine(device, graphs=True, **fields) for _ in range(2))
    steps.run(0, STEPS)
    graph.run(0, STEPS)
    for first, last in ((0, 5), (5, 5 + STEPS_PER_GRAPH), (5 + STEPS_PER_GRAPH, STEPS)):
        pieces.run(first, last)
    assert_near(state(steps), state(graph), 1e-7)
    assert_near(state(steps), state(pieces), 1e-7)
    one_more = engine(device, **fields)
    one_more.run(0, STEPS + 1)
    assert np.abs(state(one_more)[0] - state(steps)[0]).max() > 1e-5, "one step more is seen"


@DEVICES
@pytest.mark.parametrize("optimiser", ["rmsprop", "adam"])
def test_a_capture_and_a_preparation_leave_the_state_as_it_was(optimiser: str, device: str) -> None:
    prepared, fresh = engine(device, graphs=True, optimiser=optimiser), engine(device, graphs=True, optimiser=optimiser)
    before = state(prepared)
    prepared.prepare()
    for was, is_now in zip(before, state(prepared), strict=True):
        np.testing.assert_array_equal(was, is_now)
    prepared.run(0, STEPS)
    fresh.run(0, STEPS)
    assert_near(state(prepared), state(fresh), 1e-7)


@DEVICES
def test_fresh_draws_of_every_step_are_the_cpus(device: str) -> None:
    """The points of a law's step follow from its number, wherever they are shown and however many are drawn at once."""
    here, there = engine("cpu", law=True, dtype="float64"), engine(device, law=True, dtype="float64", graphs=True)
    for each in (here, there):
        each.run(0, STEPS)
    assert_near(state(here), state(there), 1e-10)
    sample = engine("cpu", dtype="float64")
    sample.run(0, STEPS)
    assert np.abs(state(sample)[0] - state(here)[0]).max() > 1e-4, "a law is no sample"


@DEVICES
def test_two_engines_of_different_shapes_take_turns_in_one_process(device: str) -> None:
    """Neither's graph writes where the other's is."""
    fields: list[dict[str, Any]] = [{}, {"widths": (33, 5, 7), "batch": 40, "optimiser": "adam"}]
    alone = [engine(device, graphs=True, **each) for each in fields]
    for each in alone:
        each.run(0, STEPS)
    turns = [engine(device, graphs=True, **each) for each in fields]
    for first in range(0, STEPS, STEPS_PER_GRAPH):
        for each in turns:
            each.run(first, min(first + STEPS_PER_GRAPH, STEPS))
    for one, other in zip(alone, turns, strict=True):
        assert_near(state(one), state(other), 1e-7)


def test_seconds_are_those_of_steps_and_what_is_before_them_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that only these move: reading a critic is in neither."""
    clock = HandClock(monkeypatch)
    for name, seconds in (("__init__", 7.0), ("run", 5.0)):
        clock.takes(Engine, name, seconds)
    clock.takes(Stack, "read", 1e3)
    methods = [WeightClip(**(MOVING | {"clip": 0.1 * (k + 1)}), steps=4) for k in range(2)]
    for fitted in train_many([PAIR] * 2, methods, [0, 0]):
        assert (fitted.seconds, fitted.seconds_prepare) == (2 * 5.0 / 2, 7.0 / 2), "shares of two critics"


@pytest.mark.gpu
def test_seconds_on_a_gpu_grow_with_the_steps_and_are_no_less_than_it_takes() -> None:
    """A clock around calls alone would tell microseconds, and one that counts the capture the same for any steps."""
    few, many = (train(PAIR, WeightClip(**MOVING, steps=steps), device="cuda") for steps in (640, 64000))
    assert 20 * few.seconds < many.seconds < 500 * few.seconds
    assert many.seconds > 1e-6 * 64000, "no device does a step of this in a microsecond"
    assert many.seconds_prepare > 0


@pytest.mark.gpu
def test_a_batch_that_the_memory_does_not_hold_is_trained_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process has taken most of the memory after the batch was made to fit."""
    import otbench.methods.training.clipped as clipped

    count = 64
    methods = [WeightClip(widths=(512, 512), batch=64, steps=20, clip=0.01 * (k + 1)) for k in range(count)]
    jobs = ([PAIR] * count, methods, list(range(count)))
    due = [fitted.critic for fitted in train_many(*jobs, device="cuda")]
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info("cuda")
    monkeypatch.setattr(clipped, "batch_size", lambda *arguments, **named: count)
    # room for a few of the critics: each has some 300 000 parameters, of which there are a dozen copies
    torch.cuda.set_per_process_memory_fraction(min(1.0, 600 * 2**20 / total))
    try:
        found = train_many(*jobs, device="cuda")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert free > 2**30
    assert max(fitted.batch for fitted in found) < count
    for one, fitted in zip(due, found, strict=True):
        for a, b in zip(one.weights, fitted.critic.weights, strict=True):  # type: ignore[union-attr]
            np.testing.assert_allclose(a, b, atol=1e-4)
