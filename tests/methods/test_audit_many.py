"""Audits of several critics on the same samples: each is the audit of that critic, and W1 is solved once."""

import warnings
from typing import Any

import numpy as np
import pytest
from test_audit import as_module

import otbench
from otbench.errors import InputError
from otbench.methods import audit as auditing
from otbench.methods import method
from otbench.methods.audit import audit, audit_many
from otbench.methods.mlp import Mlp
from otbench.transport.dense import cost_matrix
from otbench.transport.device_ladder import DeviceLadder
from otbench.types import Array, Bounds, SamplePair

PAIR = otbench.problem("shared_mass", dim=2, overlap=0.25, weights="mixture").sample(40, 30, seed=1)

SAMPLE = (PAIR.x, PAIR.y, PAIR.a, PAIR.b)


@pytest.fixture(scope="module")
def critics() -> list[Any]:
    """Clipped critics as they are fitted, as functions, as modules, and a function that has no constant."""
    recipe = method("weight_clip", widths=(8, 8), steps=30, batch=16, clip=0.1, lr=0.01)
    fitted = otbench.train_many([PAIR] * 3, [recipe] * 3, [0, 1, 2])
    nets = [fit.critic for fit in fitted]
    assert all(isinstance(net, Mlp) for net in nets)
    return [*fitted, *nets, as_module(nets[0]), nets[1].values, lambda z: np.sin(z[:, 0])]


def test_each_answer_is_the_audit_of_that_critic_to_the_last_bit(
    critics: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    due = [audit(critic, *SAMPLE) for critic in critics]
    solved: list[SamplePair] = []
    solve = auditing.solve_pair
    monkeypatch.setattr(auditing, "solve_pair", lambda pair: solved.append(pair) or solve(pair))
    assert audit_many(critics, *SAMPLE) == due
    assert audit_many(tuple(critics[:1]), *SAMPLE) == due[:1]
    assert len(solved) == 2
    assert audit_many([], *SAMPLE) == []


def test_what_is_vouched_for_is_vouched_for_of_all(critics: list[Any]) -> None:
    functions = [net.values for net in critics[3:6]]
    assert audit_many(functions, *SAMPLE, lipschitz=9.0) == [audit(f, *SAMPLE, lipschitz=9.0) for f in functions]
    steep = [*functions, lambda z: 20 * z[:, 0]]
    with pytest.raises(InputError, match=r"^critic 3: .*lipschitz"):
        audit_many(steep, *SAMPLE, lipschitz=9.0)
    modules = [as_module(net) for net in critics[3:6]]
    assert [found.clip_constant for found in audit_many(modules, *SAMPLE, clip=0.2)] == [
        audit(module, *SAMPLE, clip=0.2).clip_constant for module in modules
    ]


def test_a_critic_that_is_refused_or_of_the_wrong_sign_is_named(critics: list[Any]) -> None:
    def diverged(z: Array) -> Array:
        return np.full(len(z), np.nan)

    with pytest.raises(InputError, match=r"^critic 2: the critic is NaN or infinite"):
        audit_many([*critics[:2], diverged], *SAMPLE)
    for wrong in (critics[0], "abc", {1: 2}):
        with pytest.raises(InputError, match=r"^audit_many takes a list of critics; got .*: audit takes one"):
            audit_many(wrong, *SAMPLE)
    with pytest.raises(InputError, match="device 'cuda:99' cannot be used"):
        audit_many(critics, *SAMPLE, device="cuda:99")
    turned = [critics[3], lambda z: -critics[3].values(z)]
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        audit_many(turned, *SAMPLE)
    (one,) = heard
    assert str(one.message).startswith("otbench.audit: wrong sign: low on x and high on y")
    assert str(one.message).endswith("(critic 1)")
    assert one.filename == __file__


def nearly(found: list[Bounds], due: list[Bounds]) -> bool:
    """Whether the bounds are the same to rounding; what is not known is unknown in both."""
    names = ("raw", "slope_constant", "slope", "c_transform", "primal", "spectral", "clip_bound", "plan_cosine")
    pairs = [[(getattr(one, name), getattr(other, name)) for name in names]
             for one, other in zip(found, due, strict=True)]  # fmt: skip
    return all(a == b or a == pytest.approx(b, rel=1e-12, abs=1e-14) for each in pairs for a, b in each)


def test_a_device_reads_the_ladders_of_all_at_once(critics: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    due, calls = audit_many(critics, *SAMPLE), []

    class Counted(DeviceLadder):
        def slope_constants(self, fxs: Any, fys: Any) -> list[float]:
            calls.append(len(fxs))
            return super().slope_constants(fxs, fys)

    monkeypatch.setattr(auditing, "ladder_of", lambda x, y, a, b, _: Counted(cost_matrix(x, y), a, b, "cpu"))
    assert nearly(audit_many(critics, *SAMPLE), due)
    assert calls == [len(critics)]


@pytest.mark.gpu
def test_a_gpu_reads_what_a_cpu_reads(critics: list[Any]) -> None:
    assert nearly(audit_many(critics, *SAMPLE, device="cuda"), audit_many(critics, *SAMPLE))
