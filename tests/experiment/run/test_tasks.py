"""The rows and the timing lines of a task: every column is what arithmetic of its own gives, and seconds are shared."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.spatial.distance import cdist

from otbench.experiment.cell import Cell, Sampling
from otbench.experiment.run.tasks import run_task
from otbench.methods import WeightClip, method
from otbench.methods.base import Method
from otbench.methods.train import train
from otbench.problems import problem
from otbench.types import Array

#: Laws whose samples have weights, and a translation that moves to the left.
WEIGHTED = problem("shared_mass", dim=3, overlap=0.4, weights="mixture", w1=1.5)
LEFT = problem("translation", dim=3, shift=-0.7)

TRAINED = WeightClip(widths=(6, 5), clip=0.3, steps=40, lr=0.05, batch=16)
LOGIT = method("discriminator", widths=(6,), steps=30)


def least_cost(cost: Array, a: Array, b: Array) -> float:
    n, m = cost.shape
    sums = np.vstack([np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))])
    return float(linprog(cost.ravel(), A_eq=sums, b_eq=np.concatenate([a, b * a.sum() / b.sum()])).fun)


def cells(law: Any, *methods: Method, n: int = 21, m: int = 34, seed: int = 3) -> list[Cell]:
    return [Cell(law, Sampling(n=n, m=m, mode="independent"), each, seed, seed) for each in methods]


@pytest.mark.parametrize("law", [WEIGHTED, LEFT], ids=["weights", "to the left"])
def test_a_row_is_what_arithmetic_of_its_own_gives(law: Any, tmp_path: Path) -> None:
    (cell,) = cells(law, TRAINED)
    ((row, _),) = run_task([[cell]], tmp_path, "cpu")
    pair = cell.sample()
    a, b = pair.a, pair.b
    assert law is LEFT or (np.ptp(a) > 1e-3 and np.ptp(b) > 1e-3)
    cost = cdist(pair.x, pair.y)
    assert row["primal"] == pytest.approx(least_cost(cost, a, b), rel=1e-7)
    assert pair.images is not None
    assert row["sampling_floor"] == pytest.approx(least_cost(cdist(pair.images, pair.y), a, b), rel=1e-7)
    assert row["coupled_w1"] == pytest.approx(a @ np.linalg.norm(pair.x - pair.images, axis=1), rel=1e-12)

    fitted = train(pair, TRAINED, seed=cell.seed)
    fx, fy = fitted.values(pair.x), fitted.values(pair.y)
    assert row["raw"] == pytest.approx(a @ fx - b @ fy, rel=1e-6)
    there = cost[a > 0][:, b > 0] > 0
    slopes = (fx[a > 0, None] - fy[b > 0])[there] / cost[a > 0][:, b > 0][there]
    assert row["slope_constant"] == pytest.approx(slopes.max(), rel=1e-6)
    assert fitted.halfway is not None
    hx, hy = fitted.halfway.values(pair.x), fitted.halfway.values(pair.y)
    half = max(a @ hx - b @ hy, 0.0) / ((hx[a > 0, None] - hy[b > 0])[there] / cost[a > 0][:, b > 0][there]).max()
    assert row["slope_half"] == pytest.approx(half, rel=1e-6)
    assert row["slope_half"] != pytest.approx(row["raw"] / row["slope_constant"], rel=1e-6)
    assert (row["saturation_start"], row["saturation"]) == (fitted.saturation_start, fitted.saturation)
    assert row["saturation_start"] != row["saturation"]

    gx, gy = fitted.gradients(pair.x), fitted.gradients(pair.y)
    assert gx is not None
    assert gy is not None
    lengths = np.linalg.norm(np.concatenate([gx[a > 0], gy[b > 0]]), axis=1)
    read = [row[f"grad_norm_{name}"] for name in ("mean", "min", "max")]
    assert read == pytest.approx([lengths.mean(), lengths.min(), lengths.max()], rel=1e-6)


def test_what_a_generator_receives_is_weighed_by_the_side_it_moves(tmp_path: Path) -> None:
    made = cells(LEFT, LOGIT, TRAINED)
    (logit, _), (trained, _) = run_task([made], tmp_path, "cpu")
    pair = made[0].sample()
    velocity = LEFT.velocity(pair.y)
    fitted = train(pair, TRAINED, seed=made[1].seed)
    gy = fitted.gradients(pair.y)
    assert gy is not None
    assert trained["raw_gradient"] == pytest.approx(-pair.b @ (gy * velocity).sum(axis=1), rel=1e-6)
    assert trained["js"] is None
    assert logit["js"] is not None
    assert logit["js_gradient"] is not None


def test_the_cells_of_a_sample_share_its_seconds_and_no_second_is_told_twice(tmp_path: Path) -> None:
    many = cells(LEFT, *(TRAINED.model_copy(update={"clip": clip}) for clip in np.geomspace(0.01, 1, 16)), n=500, m=500)
    start = time.perf_counter()
    timings = [timing for _, timing in run_task([many], tmp_path, "cpu")]
    wall = time.perf_counter() - start
    phases = ("seconds_draw", "seconds_exact", "seconds_fit", "seconds_evaluate")
    told = sum(timing[name] for timing in timings for name in phases)  # type: ignore[misc]
    assert 0.3 * wall <= told <= wall
    assert {timing["critics_in_batch"] for timing in timings} == {16}
    for name in ("seconds_draw", "seconds_exact"):
        assert len({timing[name] for timing in timings}) == 1
    assert timings[0]["seconds_exact"] * 16 < wall  # type: ignore[operator]
