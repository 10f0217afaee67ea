"""Fresh draws, a batch a training step: reproducible, of the right laws, apart from samples, and cheap to start."""

import threading
from typing import Any

import numpy as np
import pytest
import torch
from families import ATOMS, OWN_DIMS, cases

from otbench.errors import InputError
from otbench.methods.training.population import STEPS_PER_DRAW, PopulationSource
from otbench.problems import PROBLEMS, problem
from otbench.results.tables.cells import WITHOUT_LAW
from otbench.types import Array

MIXTURES = {"shared_mass", "partial_move"}  # drawn with weights in half of their cases


@cases(2, leave_out=MIXTURES)
def test_a_step_draws_the_same_points_whatever_was_drawn_before_and_whatever_the_other_side_takes(name, dim, fields):
    p, q = problem(name, dim=dim, **fields), problem(name, dim=dim, **fields)
    x, y = p.fresh(7, 5, seed=3, step=11)
    q.fresh(100, 100, seed=3, step=10)
    assert x.tobytes() == q.fresh(7, 50, seed=3, step=11)[0].tobytes()
    assert y.tobytes() == q.fresh(70, 5, seed=3, step=11)[1].tobytes()
    assert (x.dtype, y.dtype, x.shape, y.shape) == (np.float64, np.float64, (7, dim), (5, dim))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("first", "count"), [(0, 16), (16, 16), (32, 5), (37, 3), (2**40, 2)])
def test_every_critic_is_shown_its_own_law_s_points_of_that_very_step(
    first: int, count: int, dtype: torch.dtype
) -> None:
    """In blocks of any beginning and length, beside critics of other laws and seeds: what fills up has no pull."""
    one, other = problem("spheres", dim=3), problem("translation", dim=3, shift=2.0)
    laws, seeds = [one, other, one, one], [4, 4, 5, 4]
    source = PopulationSource(laws, seeds, 5, 3, torch.zeros(1, dtype=dtype))
    source.draw(0, 16)
    source.draw(first, count)
    assert (source.pull[:, 10:] == 0).all()
    assert (source.pull[0, :10, 0] * 5).tolist() == pytest.approx([-1.0] * 5 + [1.0] * 5)
    for k in range(count):
        for shown, law, seed in zip(source.points(k), laws, seeds, strict=True):
            due = torch.from_numpy(np.concatenate(law.fresh(5, 5, seed, first + k))).to(dtype)
            assert torch.equal(shown[:10], due)


@cases(2, leave_out=MIXTURES | ATOMS)
def test_no_point_is_drawn_twice(name, dim, fields):
    p = problem(name, dim=dim, **fields)
    steps = [p.fresh(20, 20, seed, step) for seed in (0, 1) for step in (0, 1, 2**40)]
    pairs = [p.sample(20, mode=mode, seed=0) for mode in ("coupled", "independent", "population")]
    drawn = np.concatenate([*(x for x, _ in steps), *(pair.x for pair in pairs)])
    assert len(np.unique(drawn, axis=0)) == len(drawn)
    images = np.concatenate([*(y for _, y in steps), *(pair.y for pair in pairs)])
    assert len(np.unique(images, axis=0)) == len(images)


@cases(3, leave_out=MIXTURES)
def test_fresh_points_have_the_laws_of_samples(name, dim, fields):
    p = problem(name, dim=dim, **fields)
    drawn = p.fresh(20_000, 20_000, seed=0, step=0)
    pair = p.sample(20_000, mode="population")
    for fresh, points in zip(drawn, (pair.x, pair.y), strict=True):
        for moment in (1, 2):
            one, other = fresh**moment, points**moment
            error = np.sqrt((one.var(axis=0) + other.var(axis=0)) / 20_000)
            assert (np.abs(one.mean(axis=0) - other.mean(axis=0)) <= 5 * error + 1e-12).all()


@pytest.mark.parametrize("name", sorted(WITHOUT_LAW))
def test_data_have_no_fresh_points(name, tmp_path):
    np.save(tmp_path / "z.npy", np.ones((3, 2)))
    files = {"x": "z.npy", "y": "z.npy", "folder": str(tmp_path)} if name == "arrays" else {}
    p = problem(name, **files)
    for ask in (lambda: p.fresh(2, 2, 0, 0), lambda: p.sample(2, mode="population")):
        with pytest.raises(InputError, match=f"{name} are data, with no law to draw fresh points from") as caught:
            ask()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(set(PROBLEMS) - WITHOUT_LAW))
def test_all_that_are_no_data_have_fresh_points(name):
    p = problem(name, dim=OWN_DIMS.get(name, (2,))[0])
    assert [z.shape for z in p.fresh(2, 3, 0, 0)] == [(2, p.dim), (3, p.dim)]


def test_weighted_mixtures_have_no_fresh_points():
    p = problem("shared_mass", dim=2, weights="mixture")
    for ask in (lambda: p.fresh(4, 4, 0, 0), lambda: p.sample(4, mode="population")):
        with pytest.raises(InputError, match='fresh points are drawn without weights; use weights = "uniform"'):
            ask()


class Watched:
    """A law that says which steps were drawn, and by which thread, and can be told to fail at one of them."""

    def __init__(self, fails_at: int = -1) -> None:
        self.law, self.fails_at = problem("translation", dim=3), fails_at
        self.drawn: list[tuple[int, bool]] = []
        self.beyond = threading.Event()

    def model_dump_json(self) -> str:
        return self.law.model_dump_json()

    def fresh(self, n: int, m: int, seed: int, step: int) -> tuple[Array, Array]:
        if step == self.fails_at:
            raise InputError("no such points")
        self.drawn.append((step, threading.current_thread() is threading.main_thread()))
        if step >= 2 * STEPS_PER_DRAW - 1:
            self.beyond.set()
        return self.law.fresh(n, m, seed, step)


def ahead(law: Any, seeds: tuple[int, ...] = (4, 5, 4)) -> PopulationSource:
    return PopulationSource([law] * len(seeds), seeds, 5, 3, torch.zeros(1), ahead=True)


GOES = [(0, 16, 40), (0, 16, 0), (0, 16, 20), (16, 16, 4), (32, 4, 0), (36, 9, 16), (45, 3, 13), (50, 2, 5), (48, 5, 1)]


def test_points_drawn_ahead_are_the_points_in_any_order_of_calls() -> None:
    """Promised in whole, in part, not at all, or others than those then asked for."""
    law = problem("spheres", dim=3)
    early, late = ahead(law), PopulationSource([law] * 3, (4, 5, 4), 5, 3, torch.zeros(1))
    assert late.ahead is None
    for first, count, then in GOES:
        for source in (early, late):
            source.draw(first, count, then)
        for k in range(count):
            assert torch.equal(early.points(k), late.points(k).clone())


def test_the_next_steps_are_drawn_by_a_thread_while_those_before_are_trained_on() -> None:
    law = Watched()
    source = ahead(law, (4,))
    source.draw(0, STEPS_PER_DRAW, 2 * STEPS_PER_DRAW)
    assert law.beyond.wait(10), "nobody asked for the second block yet"
    source.draw(STEPS_PER_DRAW, STEPS_PER_DRAW, 0)
    assert law.drawn == [(step, step < STEPS_PER_DRAW) for step in range(2 * STEPS_PER_DRAW)]


def test_what_goes_wrong_ahead_is_told_when_the_points_are_asked_for() -> None:
    source = ahead(Watched(fails_at=STEPS_PER_DRAW + 3), (4,))
    source.draw(0, STEPS_PER_DRAW, STEPS_PER_DRAW)
    with pytest.raises(InputError, match="no such points"):
        source.draw(STEPS_PER_DRAW, STEPS_PER_DRAW, 0)


@pytest.mark.gpu
def test_points_reach_a_gpu_before_they_are_shown() -> None:
    law = problem("spheres", dim=3)
    there, here = (PopulationSource([law], (4,), 512, 3, torch.zeros(1, device=d)) for d in ("cuda", "cpu"))
    for first in range(0, 320, 16):
        there.draw(first, 16, 320 - first - 16)
        here.draw(first, 16)
        assert torch.equal(there.drawn.cpu(), here.drawn)
