"""The ladder of many critics at once: by torch on any device it proves what a processor proves of each alone."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_ladders import Instance, breaks, instances, make

from otbench.transport import device_ladder, point_ladder
from otbench.transport.bounds import CriticValues, Ladder
from otbench.transport.device_ladder import DeviceLadder
from otbench.transport.envelope import maximise_concave, maximise_each
from otbench.transport.point_ladder import PointLadder, ladder_of
from otbench.types import Array, Bounds, Indices

gpu = pytest.param("cuda", marks=pytest.mark.gpu)

#: torch on the device that every machine has, and on the one that it is for.
DEVICES = pytest.mark.parametrize("device", ["cpu", gpu])


def alike(found: Bounds, due: Bounds, size: float) -> None:
    """The largest slope and raw to the last bit, the best dual value to rounding of distances up to ``size``."""
    assert (found.raw, found.slope_constant, found.slope) == (due.raw, due.slope_constant, due.slope)
    assert found.c_transform == pytest.approx(due.c_transform, rel=1e-12, abs=1e-13 * size)
    assert (found.nearest, found.primal, found.raw_error) == (due.nearest, due.primal, due.raw_error)


@settings(max_examples=25, deadline=None)
@given(instances())
def test_it_is_the_ladder_of_any_values_on_any_samples(case: Instance) -> None:
    ladder = DeviceLadder(case.cost, case.a, case.b, "cpu")
    found = ladder.bounds(case.fx, case.fy, primal=case.w1)
    due = Ladder(case.cost, case.a, case.b).bounds(case.fx, case.fy, primal=case.w1)
    alike(found, due, float(case.cost.max()))
    assert breaks(found, case.slack) == []
    assert ladder.slope(case.fx, case.fy) == (found.slope_constant, found.slope)


def critics_on(case: Instance, count: int) -> list[CriticValues]:
    """Values that range from small to large, some constant, and some of the wrong sign."""
    rng = np.random.default_rng(count)
    sizes = [0.0, *(10.0 ** rng.uniform(-6, 6, count - 1) * (-1) ** np.arange(count - 1))]
    return [
        CriticValues(size * (case.fx + rng.standard_normal(len(case.fx))), size * case.fy, 2.0, 3.0 + k, 5.0)
        for k, size in enumerate(sizes)
    ]


@DEVICES
@pytest.mark.parametrize("at_once", [1, 2**10, 2**25])
def test_many_critics_are_read_as_each_alone_however_many_are_looked_at_together(
    at_once: int, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_ladder, "PAIRS_AT_ONCE", at_once)
    for grid in (False, True):  # points of a grid coincide, and tie
        case = make(np.random.default_rng(grid), 40, 30, 2, grid, True, 1.0)
        critics, one_by_one = critics_on(case, 9), Ladder(case.cost, case.a, case.b)
        together = DeviceLadder(case.cost, case.a, case.b, device).bounds_of(critics)
        assert len(together) == 9
        for critic, found, due in zip(critics, together, one_by_one.bounds_of(critics), strict=True):
            alike(found, due, float(case.cost.max()))
            assert (found.clip_bound, found.spectral) == (due.clip_bound, due.spectral)
            assert (found.spectral_constant, found.primal) == (critic.spectral_constant, 5.0)
        if grid:
            assert any(np.isinf(found.slope_constant) for found in together)
    assert DeviceLadder(case.cost, case.a, case.b, device).bounds_of([]) == []


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_searches_side_by_side_are_the_searches_one_after_the_other(seed: int, count: int) -> None:
    """Of minima of dyadic lines, which are computed without rounding, from any guess; some of them stop at 0."""
    rng = np.random.default_rng(seed)
    slopes, values = rng.integers(-20, 21, (2, count, 8)) / 4
    slopes[:, 0], values[:, 0] = -1.0, 30.0
    guesses = 2.0 ** rng.integers(-8, 8, count)
    asked: list[Indices] = []

    def each(s: Array, which: Indices) -> tuple[Array, Array, Array]:
        asked.append(which)
        found = values[which] + slopes[which] * s[:, None]
        lowest = found.min(axis=1)
        active = found == lowest[:, None]
        return (lowest, np.where(active, slopes[which], -np.inf).max(axis=1),
                np.where(active, slopes[which], np.inf).min(axis=1))  # fmt: skip

    def one(k: int, calls: list[float]) -> Any:
        def evaluate(s: float) -> tuple[float, float, float]:
            calls.append(s)
            value, left, right = each(np.array([s]), np.array([k]))
            return float(value[0]), float(left[0]), float(right[0])

        return evaluate

    scales, best = maximise_each(each, guesses)
    together = np.bincount(np.concatenate(asked), minlength=count)
    for k in range(count):
        calls: list[float] = []
        assert (scales[k], best[k]) == maximise_concave(one(k, calls), guesses[k])
        assert together[k] == len(calls), "nobody is asked for longer than his own search lasts"


def test_a_device_s_ladder_is_made_for_a_device_alone_and_for_distances_that_are_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    sample = rng.standard_normal((6, 2)), rng.standard_normal((5, 2)), np.full(6, 1 / 6), np.full(5, 1 / 5)
    assert type(ladder_of(*sample)) is Ladder
    assert type(ladder_of(*sample, "meta")) is DeviceLadder
    monkeypatch.setattr(point_ladder, "STREAMED_FROM", 30)
    streamed = ladder_of(*sample, "meta")
    assert type(streamed) is PointLadder
    fx, fy = sample[0][:, 0], sample[1][:, 1]
    assert streamed.bounds_of([CriticValues(fx, fy)] * 2) == [streamed.bounds(fx, fy)] * 2
