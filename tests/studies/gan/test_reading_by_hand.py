"""A reading of a GAN is the ladder of its critic from held-out points to generated ones, worked out by hand."""

import math

import numpy as np
import pytest
from hand_clock import HandClock
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from small_gan import small_plan

from otbench.methods.mlp import Mlp
from otbench.results.store import Row
from otbench.studies.gan import measure as measuring
from otbench.studies.gan.critics import ClippedCritics
from otbench.studies.gan.measure import measure
from otbench.studies.gan.targets import ring_modes, target
from otbench.studies.gan.training import Gans, Readers
from otbench.types import Array

#: Two jobs: a loop that is read by its own critics alone, and one that critics read that are trained afresh too.
PLAN = small_plan(clip=[0.05, 0.3], iterations=6, every=3, n=19, lr=[5e-3], n_critic=[3, 5, "converged"])


@pytest.fixture(scope="module")
def records() -> dict[str, list[Row]]:
    return {name: measure(PLAN, name, "cpu") for name in PLAN.jobs()}


def best_assignment(cost: Array) -> Array:
    """The moves of an optimal plan between as many points as points, all of one weight, by another algorithm than
    POT's: their mean is W1."""
    moves: Array = cost[linear_sum_assignment(cost)]
    return moves


def by_hand(critic: Mlp, clip: float, real: Array, made: Array, scale: float) -> dict[str, float]:
    """The ladder of a critic that is high on the data, with its c-transforms at the multiple ``scale``."""
    cost, at_real, at_made = cdist(real, made), critic.values(real), critic.values(made)
    of_real = scale * at_real.mean() + (cost - scale * at_real[:, None]).min(axis=0).mean()
    of_made = -scale * at_made.mean() + (cost + scale * at_made).min(axis=1).mean()
    moves = best_assignment(cost)
    return {
        "raw": at_real.mean() - at_made.mean(),
        "slope_constant": max(0.0, ((at_real[:, None] - at_made) / cost).max()),
        "clip_constant": clip ** len(critic.weights) * math.prod(math.sqrt(w.size) for w in critic.weights),
        "spectral_constant": math.prod(np.linalg.norm(w, 2) for w in critic.weights),
        "nearest": max(cost.min(axis=0).mean(), cost.min(axis=1).mean()),
        "c_transform": max(of_real, of_made),
        "primal": moves.mean(),
        "longest_move": moves.max(),
    }


def test_every_column_of_a_reading_is_of_data_held_out_against_points_generated(records: dict[str, list[Row]]) -> None:
    signs = set()
    for name, job in PLAN.jobs().items():
        goal, told = target("ring", PLAN.n, job.seed), iter(records[name])
        twin = Gans(PLAN, job, goal.seen, "cpu")
        for iteration in PLAN.readings():
            of_loop = twin.run(PLAN.every if iteration else 0)
            for arm in PLAN.arms(job):
                readers = twin.retrain(iteration) if arm == "converged" else of_loop
                for k, generated in enumerate(twin.generated()):
                    row = next(told)
                    assert (row["iteration"], row["n_critic"], row["clip"]) == (iteration, arm, PLAN.clip[k])
                    due = by_hand(readers.critics[k], PLAN.clip[k], goal.held_out, generated, float(row["scale"]))
                    assert {c: row[c] for c in due} == pytest.approx(due, rel=1e-5, abs=1e-12)
                    assert_beside_the_ladder(row, readers, k, goal.held_out, generated)
                    assert row["modes"] == ring_modes(generated)
                    floor = best_assignment(cdist(goal.seen[: PLAN.n], goal.held_out)).mean()
                    assert row["floor"] == pytest.approx(floor)
                    signs.add(np.sign(due["raw"]))
        assert next(told, None) is None
    assert 1.0 in signs, "a critic that has learnt is high on the data"


def assert_beside_the_ladder(row: Row, readers: Readers, k: int, real: Array, made: Array) -> None:
    """What the critic of one generator printed, and what it said on the same points after half of its training."""
    assert row["printed"] == (readers.printed[k] if readers.printed else None)
    if readers.halfway is None:
        assert row["raw_half"] is None
        return
    halfway = readers.halfway[k].values(real).mean() - readers.halfway[k].values(made).mean()
    assert row["raw_half"] == pytest.approx(halfway, rel=1e-5, abs=1e-12)
    assert row["raw_half"] != row["raw"]


def test_all_gans_of_a_job_share_its_seconds_and_none_is_told_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing data and reading critics are nobody's seconds; a solve is told with its cost matrix."""
    clock = HandClock(monkeypatch)
    for idle, name, seconds in ((Gans, "_draw", 1e3), (Gans, "_latent", 2e3), (Gans, "generated", 7e3),
                                (ClippedCritics, "read", 5e3), (measuring, "on_union", 300.0),
                                (measuring.Ladder, "bounds", 500.0)):  # fmt: skip
        clock.takes(idle, name, seconds)
    clock.takes(ClippedCritics, "_clip", 5.0)  # once for every step of the critics, and before the first
    clock.takes(measuring, "cost_matrix", 3.0)
    clock.takes(measuring, "solve_cost", 4.0)
    build = Gans.__init__

    def built(self: Gans, *arguments: object) -> None:
        build(self, *arguments)  # type: ignore[arg-type]
        clock.takes(self.critics.stack, "slopes", 2.0)  # once for every step of the generators

    monkeypatch.setattr(Gans, "__init__", built)
    share = len(PLAN.clip)
    for name, job in PLAN.jobs().items():
        for row in measure(PLAN, name, "cpu"):
            iterations = PLAN.every if row["iteration"] else 0
            steps = PLAN.retrain_steps if row["n_critic"] == "converged" else iterations * job.loop
            assert row["seconds_critic"] == steps * 5.0 / share
            assert row["seconds_generator"] == iterations * 2.0 / share
            assert row["seconds_exact"] == 7.0


def test_a_mode_is_found_within_three_deviations_by_a_quarter_of_its_share() -> None:
    for distance, found in ((0.2999, 1), (0.3001, 0)):
        assert ring_modes(np.tile([2.0 + distance, 0.0], (10, 1))) == found
    away = np.full((4 * 8 * 25, 2), 50.0)
    for count, found in ((25, 1), (24, 0)):
        points = away.copy()
        points[:count] = [2.0, 0.0]
        assert ring_modes(points) == found


def test_values_that_are_near_have_keys_of_their_own() -> None:
    plan = small_plan(clip=[0.01, 0.012, 0.1], lr=[5e-4, 5.5e-4], seeds=[0, 1, 10], datasets=["ring", "swiss_roll"],
                      n_critic=[1, 10])  # fmt: skip
    keys = [key for records in plan.records("cpu").values() for key in records]
    assert len(keys) == len(set(keys)) == 3 * 2 * 3 * 2 * 2 * len(plan.readings())
