"""A reading of a GAN is the ladder of its critic from held-out points to generated ones, worked out by hand."""

import numpy as np
import pytest
from hand_clock import HandClock
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from small_gan import small_plan

from otbench.results.store import Row
from otbench.studies.gan import measure as measuring
from otbench.studies.gan.measure import measure
from otbench.studies.gan.plan import GanBatch
from otbench.studies.gan.targets import ring_modes, target
from otbench.studies.gan.training import Gans
from otbench.types import Array

PLAN = small_plan(clip=[0.05, 0.3], iterations=6, every=3, n=19, lr=[5e-3], critic_steps=3)


@pytest.fixture(scope="module")
def records() -> list[Row]:
    (name,) = PLAN.jobs()
    return measure(PLAN, name, "cpu")


def cost_of_the_best_assignment(x: Array, y: Array) -> float:
    """W1 of as many points as points, all of one weight: by another algorithm than POT's."""
    cost = cdist(x, y)
    return float(cost[linear_sum_assignment(cost)].mean())


def test_every_column_of_a_reading_is_of_data_held_out_against_points_generated(records: list[Row]) -> None:
    (job,) = PLAN.jobs().values()
    assert isinstance(job, GanBatch)
    goal = target("ring", PLAN.n, job.seed)
    twin = Gans(PLAN, job, goal.seen, "cpu")
    signs = set()
    for k, iteration in enumerate(PLAN.readings()):
        twin.run(PLAN.every if iteration else 0)
        for c, (critic, generated) in enumerate(zip(twin.read(), twin.generated(), strict=True)):
            row = records[len(PLAN.clip) * k + c]
            assert (row["iteration"], row["clip"]) == (iteration, PLAN.clip[c])
            real, made = critic.values(goal.held_out), critic.values(generated)
            cost = cdist(goal.held_out, generated)
            signs.add(np.sign(real.mean() - made.mean()))
            assert row["raw"] == pytest.approx(real.mean() - made.mean(), rel=1e-6, abs=1e-12)
            assert row["slope_constant"] == pytest.approx(((real[:, None] - made) / cost).max(), rel=1e-6)
            assert row["nearest"] == pytest.approx(max(cost.min(axis=0).mean(), cost.min(axis=1).mean()), rel=1e-9)
            assert row["primal"] == pytest.approx(cost_of_the_best_assignment(goal.held_out, generated), rel=1e-9)
            s = float(row["scale"])  # type: ignore[arg-type]
            of_real = s * real.mean() + (cost - s * real[:, None]).min(axis=0).mean()
            of_made = -s * made.mean() + (cost + s * made).min(axis=1).mean()
            assert row["c_transform"] == pytest.approx(max(of_real, of_made), rel=1e-9)
            assert row["modes"] == goal.modes(generated) if goal.modes else None
            assert row["printed"] == (twin.printed[c] if iteration and twin.printed else None)
            assert row["floor"] == pytest.approx(cost_of_the_best_assignment(goal.seen[: PLAN.n], goal.held_out))
    assert 1.0 in signs, "a critic that has learnt is high on the data"


def test_all_gans_of_a_job_share_its_seconds_and_none_is_told_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing data and reading critics are nobody's seconds; a solve is told with its cost matrix."""
    clock = HandClock(monkeypatch)
    clock.takes(Gans, "_draw", 1000.0)
    clock.takes(Gans, "_clip", 5.0)  # once for every step of the critics
    clock.takes(measuring, "on_union", 300.0)
    clock.takes(measuring.Ladder, "bounds", 500.0)
    clock.takes(measuring, "cost_matrix", 3.0)
    clock.takes(measuring, "solve_cost", 4.0)
    build = Gans.__init__

    def built(self: Gans, *arguments: object) -> None:
        build(self, *arguments)  # type: ignore[arg-type]
        clock.takes(self.critics, "slopes", 2.0)  # once for every step of the generators

    monkeypatch.setattr(Gans, "__init__", built)
    (name,) = PLAN.jobs()
    rows = measure(PLAN, name, "cpu")
    share = len(PLAN.clip)
    for row in rows:
        steps = PLAN.every if row["iteration"] else 0
        assert row["seconds_critic"] == steps * PLAN.critic_steps * 5.0 / share
        assert row["seconds_generator"] == steps * 2.0 / share
        assert row["seconds_exact"] == 7.0


def test_a_mode_is_found_within_three_deviations_by_a_quarter_of_its_share() -> None:
    for distance, found in ((0.2999, 1), (0.3001, 0)):
        assert ring_modes(np.tile([2.0 + distance, 0.0], (10, 1))) == found
    away = np.full((4 * 8 * 25, 2), 50.0)
    for count, found in ((25, 1), (24, 0)):
        points = away.copy()
        points[:count] = [2.0, 0.0]
        assert ring_modes(points) == found


def test_no_two_readings_have_one_key() -> None:
    plan = small_plan(clip=[0.01, 0.012, 0.1], lr=[5e-4, 5.5e-4], seeds=[0, 1, 10], datasets=["ring", "swiss_roll"])
    keys = [key for records in plan.records("cpu").values() for key in records]
    assert len(keys) == len(set(keys)) == 3 * 2 * 3 * 2 * len(plan.readings())
    assert set(keys).isdisjoint(key for records in small_plan(n=25).records("cpu").values() for key in records)
