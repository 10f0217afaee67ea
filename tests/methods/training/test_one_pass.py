"""The optimiser and the clamp in one pass are the optimiser's call and the clamp, to rounding."""

import logging
from typing import Any

import pytest
import torch

from otbench.methods import WeightClip
from otbench.methods.training import one_pass
from otbench.methods.training.engine import Engine
from otbench.problems import problem

PAIR = problem("translation", dim=3).sample(40, mode="coupled", seed=3)

OPTIMISERS = pytest.mark.parametrize("fields", [
    {"smoothing": 0.9}, {"optimiser": "adam", "betas": (0.5, 0.8)}, {"optimiser": "sgd"},
], ids=str)  # fmt: skip


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The formulas as Python runs them, which takes no compiler its seconds."""
    monkeypatch.setattr(one_pass, "_compiled", lambda formula: formula)


def engine(single_pass: bool, device: str = "cpu", **fields: Any) -> Engine:
    methods = [WeightClip(**{"widths": (9, 5), "batch": 8, "dtype": "float64"} | fields,
                          clip=0.1 / k, lr=1e-3 * k, eps=1e-4 * k) for k in (1, 2, 3)]  # fmt: skip
    return Engine([PAIR] * 3, methods, [0, 1, 2], device, single_pass=single_pass)


def apart(one: Engine, other: Engine) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(one._state(), other._state(), strict=True))


@OPTIMISERS
@pytest.mark.parametrize("more", [
    {}, {"clip_when": "before"}, {"clip_parameters": "weights"}, {"biases": False, "init": "box"},
], ids=str)  # fmt: skip
@pytest.mark.usefixtures("interpreted")
def test_one_pass_is_the_call_and_the_clamp(fields: dict[str, Any], more: dict[str, Any]) -> None:
    by_calls, at_once = engine(False, **fields, **more), engine(True, **fields, **more)
    assert by_calls.single_pass is None
    assert at_once.single_pass is not None
    assert apart(by_calls, at_once) == 0, "what is tried out is undone"
    for made in (by_calls, at_once):
        made.run(0, 70)
    assert apart(by_calls, at_once) <= 1e-13
    assert at_once.saturation() == by_calls.saturation()


@pytest.mark.parametrize("table", ["down", "eps", "wall"])
@pytest.mark.usefixtures("interpreted")
def test_a_number_of_another_critic_would_be_seen(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    formula = one_pass._rmsprop

    def faulty(*given: Any) -> None:
        place = {"down": 4, "eps": 5, "wall": 6}[table]
        formula(*given[:place], given[place].roll(1), *given[place + 1 :])

    monkeypatch.setattr(one_pass, "_rmsprop", faulty)
    by_calls, at_once = engine(False), engine(True)
    for made in (by_calls, at_once):
        made.run(0, 70)
    assert apart(by_calls, at_once) > 1e-6


@pytest.mark.usefixtures("interpreted")
def test_a_parameter_that_is_no_number_stays_its_own_critics() -> None:
    made = engine(True)
    made.stack.weights[0][1, 0, 0] = torch.nan
    made.run(0, 5)
    assert made.finite() == [True, False, True]


def test_on_a_cpu_it_is_asked_for() -> None:
    methods = [WeightClip(widths=(4,), batch=8)]
    assert Engine([PAIR], methods, [0], "cpu").single_pass is None


def test_where_it_does_not_compile_the_calls_are_made_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(formula: Any) -> Any:
        def call(*given: Any) -> None:
            raise torch._dynamo.exc.TorchDynamoException("no\ncompiler")

        return call

    monkeypatch.setattr(one_pass, "_compiled", missing)
    with caplog.at_level(logging.WARNING, "otbench"):
        made, due = engine(True), engine(False)
    assert made.single_pass is None
    assert caplog.messages == ["the update is not compiled: no compiler"]
    made.run(0, 9)
    due.run(0, 9)
    assert apart(made, due) == 0


@pytest.mark.parametrize("device", [
    pytest.param("cpu", marks=pytest.mark.slow), pytest.param("cuda", marks=pytest.mark.gpu),
])  # fmt: skip
@OPTIMISERS
def test_compiled_it_is_the_same(fields: dict[str, Any], device: str) -> None:
    by_calls, at_once = engine(False, device, **fields), engine(True, device, **fields)
    assert at_once.single_pass is not None
    for made in (by_calls, at_once):
        made.run(0, 70)
    assert apart(by_calls, at_once) <= 1e-10  # a compiler may round a product and its sum at once
    alone = WeightClip(widths=(4,), batch=8, **fields)
    assert Engine([PAIR], [alone], [0], device, single_pass=True).single_pass is not None
