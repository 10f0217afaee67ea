"""What a run is expected to take, and what is told of it as it goes: seconds of training, of the rest, and left."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hand_clock import HandClock
from small import declare

import otbench.experiment.run.estimate as estimate
from otbench.cli import progress
from otbench.experiment.run.estimate import expected_seconds
from otbench.experiment.run.filling import Group


@pytest.mark.parametrize("limit", [None, 3.0, 1000.0])
def test_training_grows_with_the_steps_the_rest_does_not_and_each_kind_is_probed_once(
    limit: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine on which a step takes 0.5 s in two dimensions and 2 s in three, and a probed sample 7 s.

    The rest grows with the points as a solve does: with n m to the power 1.37. Of the 7 s solving takes 5; where it is
    stopped, that of a sample and that of its floor take the limit at most.
    """
    clock, probed = HandClock(monkeypatch), []

    def pretend(task: Sequence[Group], *_: Any) -> list[tuple[Any, Any]]:
        timings = []
        for cell in [cell for group in task for cell in group]:
            fit = getattr(cell.method, "steps", 0) * (0.5 if cell.problem.dim == 2 else 2.0)
            clock.spend(fit)
            timings.append({"seconds_fit": fit, "seconds_exact": 5.0 / sum(map(len, task))})
            probed.append(cell.key)
        clock.spend(7.0 * len(task))
        return [({}, timing) for timing in timings]

    monkeypatch.setattr(estimate, "run_task", pretend)
    steps, clips = 10 * 64, [0.1 * k for k in range(1, 11)]
    cells = declare(
        tmp_path, problem='{ name = "shared_mass", dim = [2, 3] }', seeds=str(list(range(12))),
        sampling="{ n = 2048 }" if limit is None else f"{{ n = 2048, exact_seconds = {limit} }}",
        method=f'[{{ name = "zero" }}, {{ name = "weight_clip", steps = {steps}, clip = {clips} }}]',
    ).cells  # fmt: skip
    solving = 5.0 * 4**1.37 if limit is None else min(5.0 * 4**1.37, 2 * limit)
    trained, rest = 12 * len(clips) * (0.5 + 2.0) * steps, 4 * 12 * (2.0 * 4**1.37 + solving)
    assert expected_seconds(cells, 1, "cpu") == pytest.approx(trained + rest)
    assert len(probed) == 2 * (8 + 1), "of each of four kinds the cells of one sample, at most eight"
    assert expected_seconds(cells, 5, "cpu") == pytest.approx((trained + rest) / 5)


def test_lines_of_progress_come_now_and_then_and_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    tell = progress._lines("mine")
    for at, done, said in (
        (101.0, 0, ""),
        (114.9, 2, ""),
        (115.1, 3, "mine: 8 of 20 cells, 15 s, 60 s left\n"),  # 12 of 20 are left, and 3 took 15 s
        (130.0, 6, ""),
        (130.2, 6, "mine: 11 of 20 cells, 30 s, 45 s left\n"),
        (131.0, 15, "mine: 20 of 20 cells, 31 s, 0 s left\n"),
    ):
        now[0] = at
        tell(5, done, 20)
        assert capsys.readouterr().err == said


@pytest.mark.parametrize(("steps", "device"), [(64, "cpu"), (64_000, "cpu"), (64_000, "cuda")])
def test_what_comes_before_the_first_step_grows_with_batches_and_not_with_steps(
    steps: int, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine that takes 3 s to capture a batch and a millisecond a step: a capture is no part of the steps, of
    which the probe does 64 and the run a thousand times as many."""
    clock = HandClock(monkeypatch)

    def pretend(task: Sequence[Group], *_: Any) -> list[tuple[Any, Any]]:
        cells = [cell for group in task for cell in group]
        clock.spend(3.0 + 0.064 * len(cells))
        told = {"seconds_fit": 0.064, "seconds_prepare": 3.0 / len(cells), "seconds_exact": 0.0}
        return [({}, told) for _ in cells]

    monkeypatch.setattr(estimate, "run_task", pretend)
    clips = [0.001 * k for k in range(1, 81)]
    cells = declare(tmp_path, method=f'{{ name = "weight_clip", steps = {steps}, clip = {clips} }}').cells
    batches = 3 if device == "cpu" else 1  # 80 critics in tasks of 32, or of 1024
    assert expected_seconds(cells, 1, device) == pytest.approx(80 * 0.001 * steps + batches * 3.0)
