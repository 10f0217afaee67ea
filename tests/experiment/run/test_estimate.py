"""What a run will cost: probes scaled by steps, said as a person says it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from small import declare

import otbench.experiment.run.estimate
from otbench.experiment.declaration import load_experiment
from otbench.experiment.run.estimate import PROBE_STEPS, expected_seconds, in_words
from otbench.experiment.run.filling import Group
from otbench.methods import WeightClip


@pytest.mark.parametrize("steps", [PROBE_STEPS // 2, PROBE_STEPS, 10 * PROBE_STEPS])
def test_training_time_grows_with_the_steps(steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a machine that takes a second per step and nothing else."""

    def pretend(task: Sequence[Group], *_: Any) -> list[tuple[Any, Any]]:
        cells = [cell for group in task for cell in group]
        assert all(isinstance(c.method, WeightClip) and c.method.steps <= PROBE_STEPS for c in cells)
        steps = [float(getattr(cell.method, "steps", 0)) for cell in cells]
        return [({}, {"seconds_fit": each, "seconds_exact": 0.0}) for each in steps]

    monkeypatch.setattr(otbench.experiment.run.estimate, "run_task", pretend)
    cells = declare(tmp_path, method=f'{{ name = "weight_clip", steps = {steps} }}', seeds="[0, 1, 2]").cells
    assert expected_seconds(cells, 1, "cpu") == pytest.approx(3 * steps, abs=0.5)
    assert expected_seconds(cells, 3, "cpu") == pytest.approx(steps, abs=0.5)


def test_a_fit_without_steps_grows_with_the_pairs_of_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a machine that takes a second for 1024 x 1024 points, which are all that a probe is given."""

    def pretend(task: Sequence[Group], *_: Any) -> list[tuple[Any, Any]]:
        return [({}, {"seconds_fit": 1.0, "seconds_exact": 0.0}) for group in task for _ in group]

    monkeypatch.setattr(otbench.experiment.run.estimate, "run_task", pretend)
    cells = declare(tmp_path, sampling="{ n = 4096, m = 2048 }", method='{ name = "sinkhorn", reg = [0.1, 1.0] }').cells
    assert expected_seconds(cells, 1, "cpu") == pytest.approx(2 * 8, abs=0.5)


def test_the_small_experiment_takes_seconds(small_results: Path) -> None:
    cells = load_experiment(str(small_results.parent.parent / "small.toml")).cells
    assert 0.01 < expected_seconds(cells, 1, "cpu") < 60


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (89, "89 s"), (90, "2 min"), (600, "10 min"), (5399, "90 min"), (7200, "2.0 h")],
)
def test_seconds_are_said_in_the_unit_a_person_takes(seconds: float, text: str) -> None:
    assert in_words(seconds) == text
