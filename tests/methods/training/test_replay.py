"""Steps replayed are the steps done one by one: on a CPU by a replay without a graph, on a GPU by a captured one."""

from typing import Any

import pytest
import torch

from otbench.methods import WeightClip
from otbench.methods.training.engine import STEPS_PER_GRAPH, Engine
from otbench.methods.training.minibatch import STEPS_PER_BLOCK
from otbench.methods.training.population import STEPS_PER_DRAW
from otbench.methods.training.replay import STEPS_BEFORE_CAPTURE, EagerReplay, replay_of
from otbench.problems import problem

LAW = problem("shared_mass", dim=3, overlap=0.5)
PAIR = LAW.sample(40, 40, mode="independent", seed=1)

gpu = pytest.param("cuda", marks=pytest.mark.gpu)

DEVICES = pytest.mark.parametrize("device", ["cpu", gpu])

#: Recipes whose steps differ in what they read and write.
FIELDS: list[dict[str, Any]] = [
    {}, {"optimiser": "adam"}, {"optimiser": "sgd", "clip_when": "before"}, {"batch": "full"}, {"fresh": True},
]  # fmt: skip


def engine(device: str, fields: dict[str, Any], **how: Any) -> Engine:
    """Three critics with clip values, rates and eps of their own; of fresh draws, two see the same."""
    recipe = {"widths": (9, 5), "batch": 8, "dtype": "float64"} | {k: v for k, v in fields.items() if k != "fresh"}
    methods = [WeightClip(**recipe, clip=0.1 / k, lr=1e-3 * k, eps=1e-4 * k) for k in (1, 2, 3)]
    laws = [LAW] * 3 if fields.get("fresh") else None
    return Engine([PAIR] * 3, methods, [4, 5, 4], device, laws=laws, **how)


def same(one: Engine, other: Engine) -> bool:
    """Whether two engines stand alike: bit for bit on a CPU, and within float64's rounding where atomics may sum."""
    pairs = list(zip(one._state()[:-1], other._state()[:-1], strict=True))
    if one.device.type == "cpu":
        return all(torch.equal(*each) for each in pairs)
    return all(torch.allclose(*each, rtol=1e-10, atol=1e-12) for each in pairs)


@DEVICES
@pytest.mark.parametrize("fields", FIELDS, ids=str)
def test_replayed_steps_are_the_steps(fields: dict[str, Any], device: str) -> None:
    """Blocks and 7 steps more, in goes that end within a graph, after a preparation that leaves no trace."""
    one_by_one, replayed = engine(device, fields, graphs=False), engine(device, fields, graphs=True)
    one_by_one.run(0, 71)
    replayed.prepare()
    for first, last in ((0, 3), (3, 67), (67, 71)):
        replayed.run(first, last)
    assert same(one_by_one, replayed)
    assert not same(one_by_one, engine(device, fields))


@DEVICES
def test_one_graph_does_every_step_of_a_block(device: str) -> None:
    made = engine(device, {}, graphs=True)
    made.prepare()
    graph, done = made.graph, []
    assert graph is not None
    replay = graph.replay
    graph.replay = lambda: done.append(int(made.at)) or replay()  # type: ignore[method-assign]
    made.run(0, STEPS_PER_BLOCK + 7)
    assert made.graph is graph
    assert done == list(range(0, STEPS_PER_BLOCK, STEPS_PER_GRAPH))
    assert int(made.at) == 7


@DEVICES
@pytest.mark.parametrize("fields", FIELDS, ids=str)
def test_a_capture_leaves_the_state_as_it_was(fields: dict[str, Any], device: str) -> None:
    made = engine(device, fields, graphs=True)
    made.source.draw(0, STEPS_PER_DRAW)
    before = [tensor.clone() for tensor in made._state()]
    with made._set_up():
        made._graphed(0)
    assert made.graph is not None
    assert all(torch.equal(one, other) for one, other in zip(before, made._state(), strict=True))


def test_a_state_that_a_capture_forgets_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    made, due = engine("cpu", {}, graphs=True), engine("cpu", {}, graphs=False)
    monkeypatch.setattr(made, "_state", lambda: [made.stack.parameters, made.at])  # without the second moments
    made.run(0, 20)
    due.run(0, 20)
    assert not torch.equal(made.stack.parameters, due.stack.parameters)


def test_without_a_gpu_a_replay_does_its_steps_after_those_for_practice() -> None:
    done: list[int] = []
    made = replay_of(lambda: done.append(len(done)), 5, torch.device("cpu"))
    assert isinstance(made, EagerReplay)
    assert len(done) == STEPS_BEFORE_CAPTURE
    made.replay()
    assert len(done) == STEPS_BEFORE_CAPTURE + 5


def test_a_graph_has_room_for_its_steps_in_the_block_of_every_source() -> None:
    assert STEPS_PER_BLOCK % STEPS_PER_GRAPH == 0
    assert STEPS_PER_DRAW % STEPS_PER_GRAPH == 0


@pytest.mark.parametrize("fields", FIELDS, ids=str)
def test_a_step_named_on_the_device_shows_the_points_of_the_step_named_by_a_number(fields: dict[str, Any]) -> None:
    source = engine("cpu", fields).source
    source.draw(5, 16)
    for k in (0, 7, 15):
        by_number = source.points(k).clone()
        assert torch.equal(source.points(torch.tensor([k])), by_number)


@pytest.mark.gpu
def test_engines_of_different_shapes_and_devices_train_in_turns() -> None:
    devices = [f"cuda:{k}" for k in range(torch.cuda.device_count())]
    made = [engine(device, fields, graphs=True) for device in devices for fields in FIELDS[:2]]
    alone = [engine("cpu", fields) for _ in devices for fields in FIELDS[:2]]
    for first in range(0, 128, 32):
        for each in made:
            each.run(first, first + 32)
    for there, here in zip(made, alone, strict=True):
        here.run(0, 128)
        assert torch.allclose(there.stack.parameters.cpu(), here.stack.parameters, rtol=1e-10, atol=1e-12)
