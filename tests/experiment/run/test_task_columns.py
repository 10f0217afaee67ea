"""How cells are dealt out to tasks, and what a row holds where an exact value, a critic or a law is missing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pytest

from otbench.errors import UncertifiedError
from otbench.experiment.cell import Cell, Sampling
from otbench.experiment.run import tasks as tasks_module
from otbench.experiment.run.filling import (
    CRITICS_PER_TASK,
    TASKS_PER_WORKER,
    WORK_PER_CRITIC,
    halved,
    make_tasks,
    share_out,
)
from otbench.experiment.run.tasks import run_task
from otbench.methods import Fitted, Job, method
from otbench.methods.base import Method
from otbench.methods.functions import Affine
from otbench.methods.train import train
from otbench.problems import problem
from otbench.results.schema import RowColumns, names_of
from otbench.transport.exact import solve_exact


class Counted(Method):
    """A recipe that takes so much work, fits f(z) = factor z_1, and remembers in which company it was called."""

    calls: ClassVar[list[tuple[list[str], list[Job]]]] = []

    name: Literal["counted"] = "counted"
    factor: float = 1.0
    critics: float = 1.0
    key: str = "one"
    says: Literal["ok", "diverged"] = "ok"

    def batch_key(self) -> tuple[object, ...]:
        return (self.name, self.key)

    @property
    def trained(self) -> bool:
        return self.critics > 0

    def work(self, dim: int) -> float:
        return self.critics * WORK_PER_CRITIC

    @classmethod
    def fit(cls, methods: Sequence[Self], jobs: Sequence[Job], device: str) -> list[Fitted]:
        cls.calls.append(([f"{each.key} {each.factor:g} on {device}" for each in methods], list(jobs)))
        return [each._fitted(job.pair.dim) for each, job in zip(methods, jobs, strict=True)]

    def _fitted(self, dim: int) -> Fitted:
        if self.says == "diverged":
            return Fitted(None, "diverged", "it ran away", seconds=2.0, batch=3, saturation=0.5, saturation_start=0.25)
        critic, halfway = (Affine(factor * np.eye(dim)[0]) for factor in (self.factor, -self.factor))
        return Fitted(critic, halfway=halfway, seconds=0.5, batch=2, compiled=True, saturation=0.75)


def cell(seed: int = 0, dim: int = 2, mode: Any = "independent", law: str = "shared_mass", **fields: Any) -> Cell:
    return Cell(problem(law, dim=dim), Sampling(n=6, m=9, mode=mode), Counted(**fields), seed, seed)


def sizes(tasks: Sequence[Sequence[Sequence[Cell]]]) -> list[list[int]]:
    """The number of cells of each sample of each task."""
    return [[len(group) for group in task] for task in tasks]


def test_a_task_is_filled_up_to_its_size_and_not_beyond() -> None:
    many = [cell(seed) for seed in range(2 * CRITICS_PER_TASK + 1)]
    assert [len(task) for task in make_tasks(many, "cpu")] == [CRITICS_PER_TASK, CRITICS_PER_TASK, 1]
    assert [len(task) for task in make_tasks(many, "cuda")] == [2 * CRITICS_PER_TASK + 1]
    assert [group[0].seed for task in make_tasks(many, "cpu") for group in task] == list(range(len(many)))


def test_the_cells_of_a_sample_stay_together_and_in_their_order() -> None:
    fields = [{"factor": float(k)} for k in range(CRITICS_PER_TASK - 1)]
    mixed = [cell(seed, **each) for each in fields for seed in (0, 1)]
    tasks = make_tasks(mixed, "cpu")
    assert sizes(tasks) == [[CRITICS_PER_TASK - 1], [CRITICS_PER_TASK - 1]]
    assert [c.method.factor for c in tasks[1][0]] == [each["factor"] for each in fields]
    assert {c.seed for c in tasks[0][0]} == {0}


def test_a_critic_counts_by_its_work_an_untrained_sample_as_one() -> None:
    half = [cell(seed, critics=CRITICS_PER_TASK / 2) for seed in range(3)]
    assert sizes(make_tasks(half, "cpu")) == [[1, 1], [1]]
    small = [cell(seed, critics=1e-3) for seed in range(CRITICS_PER_TASK + 1)]
    assert sizes(make_tasks(small, "cpu")) == [[1] * CRITICS_PER_TASK, [1]]
    idle = [cell(seed, critics=0.0, factor=f) for seed in range(CRITICS_PER_TASK + 1) for f in (1.0, 2.0, 3.0)]
    assert sizes(make_tasks(idle, "cpu")) == [[3] * CRITICS_PER_TASK, [3]]
    assert make_tasks([], "cpu") == []


def test_full_tasks_are_of_one_dimension_wherever_their_cells_stand_and_what_is_left_shares_one() -> None:
    mixed = [cell(seed, dim=dim) for seed in range(CRITICS_PER_TASK + 1) for dim in (2, 3)]
    tasks = make_tasks(mixed, "cpu")
    assert sizes(tasks) == [[1] * CRITICS_PER_TASK, [1] * CRITICS_PER_TASK, [1, 1]]
    assert [{group[0].problem.dim for group in task} for task in tasks] == [{2}, {3}, {2, 3}]


def apart(task: Any) -> list[Cell]:
    """The cells that are left when a task is halved as often as it can be."""
    return [each for half in halves for each in apart(half)] if (halves := halved(task)) else [task[0][0]]


def test_a_task_is_halved_between_samples_then_within_them_down_to_every_cell_once() -> None:
    cells = [cell(0), cell(0, factor=2.0), cell(1), cell(2), cell(3)]
    (task,) = make_tasks(cells, "cpu")
    assert sizes(halved(task)) == [[2, 1], [1, 1]]
    assert apart(task) == cells
    assert halved([[cell(0)]]) == []


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_tasks_are_halved_until_every_worker_has_some_and_the_longest_come_first(workers: int) -> None:
    tasks = make_tasks([cell(seed, critics=1.0 + seed) for seed in range(11)], "cpu")
    shared = share_out(tasks, workers)
    assert sorted(c.seed for task in shared for group in task for c in group) == list(range(11))
    assert len(shared) == 11 or TASKS_PER_WORKER * workers <= len(shared) < 2 * TASKS_PER_WORKER * workers
    work = [sum(c.method.critics for group in task for c in group) for task in shared]
    assert work == sorted(work, reverse=True)


def test_tasks_that_are_enough_are_not_halved_and_single_samples_cannot_be() -> None:
    pairs = [[[cell(2 * k)], [cell(2 * k + 1)]] for k in range(TASKS_PER_WORKER)]
    assert sizes(share_out(pairs, 1)) == [[1, 1]] * TASKS_PER_WORKER
    assert sizes(share_out(pairs[:-1], 1)) == [[1]] * (2 * TASKS_PER_WORKER - 2)
    assert sizes(share_out([[[cell(0), cell(0, factor=2.0)]]], 5)) == [[2]]
    three = [[[cell(k)] for k in range(3)]]
    assert sorted(map(len, share_out(three, 1))) == [1, 1, 1]
    idle, busy = [[cell(0, critics=0.0)] * 9], [[cell(1)]]
    assert share_out([idle, busy, busy, busy], 1) == [busy, busy, busy, idle]
    assert share_out([busy, [[cell(0, critics=0.0)] * 11], busy, busy], 1)[0] == [[cell(0, critics=0.0)] * 11]


def test_critics_of_one_kind_and_one_size_are_fitted_together_whatever_sample_they_are_of(tmp_path: Path) -> None:
    others = [Cell(problem("shared_mass", dim=2), Sampling(n=n, m=m), Counted(factor=factor), 0, 0)
              for n, m, factor in ((6, 8, 5.0), (7, 9, 6.0), (6, 6, 7.0))]  # fmt: skip
    drawn = Cell(problem("shared_mass", dim=2), Sampling(n=6, mode="population"), Counted(factor=8.0), 0, 0)
    cells = [cell(0), cell(0, factor=2.0), cell(1, factor=3.0), cell(1, key="two"), cell(0, dim=3, factor=4.0),
             *others, drawn]  # fmt: skip
    Counted.calls.clear()
    (task,) = [[group for part in make_tasks(cells, "cpu") for group in part]]
    done = run_task(task, tmp_path, "cpu")
    company = [names for names, _ in Counted.calls]
    assert company == [["one 1 on cpu", "one 2 on cpu", "one 3 on cpu"], ["two 1 on cpu"], ["one 4 on cpu"],
                       ["one 5 on cpu"], ["one 6 on cpu"], ["one 7 on cpu"], ["one 8 on cpu"]]  # fmt: skip
    assert [row["key"] for row, _ in done] == [each.key for group in task for each in group]
    assert [timing["key"] for _, timing in done] == [row["key"] for row, _ in done]
    first = Counted.calls[0][1]
    assert [job.seed for job in first] == [0, 0, 1]
    assert first[0].pair is first[1].pair
    assert first[0].exact.w1 == pytest.approx(done[0][0]["primal"], rel=1e-12)
    assert [jobs[0].law for _, jobs in Counted.calls[:-1]] == [None] * 6
    assert Counted.calls[-1][1][0].law == drawn.problem


def test_a_row_holds_every_column_and_what_its_critic_told(tmp_path: Path) -> None:
    made = cell(3, factor=2.0)
    ((row, timing),) = run_task([[made]], tmp_path, "cpu")
    assert set(names_of(RowColumns)) <= set(row)
    pair = made.sample()
    assert (row["n"], row["m"], row["status"], row["reason"]) == (6, 9, "ok", "")
    assert row["raw"] == pytest.approx(2 * (pair.a @ pair.x[:, 0] - pair.b @ pair.y[:, 0]))
    assert (row["saturation_start"], row["saturation"]) == (None, 0.75)
    slopes = 2 * (pair.x[:, None, 0] - pair.y[:, 0]) / np.linalg.norm(pair.x[:, None] - pair.y, axis=2)
    assert row["slope_constant"] == pytest.approx(slopes.max())
    assert row["slope_half"] == pytest.approx(max(0.0, -row["raw"]) / (-slopes).max())  # type: ignore[operator]
    assert (row["grad_norm_min"], row["grad_norm_max"], row["js"], row["raw_gradient"]) == (2.0, 2.0, None, None)
    assert row["population_w1"] == made.problem.population_w1
    assert (timing["seconds_fit"], timing["critics_in_batch"], timing["compiled"]) == (0.5, 2, True)


def test_a_critic_that_diverged_leaves_the_bound_that_needs_none(tmp_path: Path) -> None:
    ((row, timing),) = run_task([[cell(says="diverged")]], tmp_path, "cpu")
    assert (row["status"], row["reason"]) == ("diverged", "it ran away")
    assert (row["saturation_start"], row["saturation"], row["raw"], row["cosine"]) == (0.25, 0.5, None, None)
    assert row["nearest"] > 0  # type: ignore[operator]
    assert row["primal"] > 0  # type: ignore[operator]
    assert (timing["seconds_fit"], timing["critics_in_batch"], timing["compiled"]) == (2.0, 3, False)


def test_a_sample_that_was_refused_trains_nothing_and_says_why_and_its_neighbour_is_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = cell(0), cell(1)
    solve = tasks_module.exact_solution

    def some(pair: Any, key: str, *rest: Any) -> Any:
        if key.startswith(bad.sample_key):
            raise UncertifiedError("the interval", "wide", "narrow", "another sample")
        return solve(pair, key, *rest)

    monkeypatch.setattr(tasks_module, "exact_solution", some)
    Counted.calls.clear()
    (row, timing), (other, _) = run_task([[bad], [good]], tmp_path, "cpu")
    assert (row["status"], other["status"]) == ("refused", "ok")
    assert str(row["reason"]).startswith("exact solution refused: the interval is wide")
    assert [row[name] for name in ("primal", "raw", "nearest", "saturation", "sampling_floor")] == [None] * 5
    assert row["coupled_w1"] is not None
    assert (timing["seconds_fit"], timing["critics_in_batch"], timing["compiled"]) == (0.0, 0, False)
    assert [len(jobs) for _, jobs in Counted.calls] == [1]


@pytest.mark.parametrize("mode", ["coupled", "population"])
def test_where_y_is_the_images_of_x_there_is_no_floor_and_it_is_not_solved_for(mode: Any, tmp_path: Path) -> None:
    square = Cell(problem("shared_mass", dim=2), Sampling(n=6, mode=mode), method("zero"), 0, 0)
    ((row, _),) = run_task([[square]], tmp_path, "cpu")
    assert row["sampling_floor"] == 0.0
    assert len([file for file in tmp_path.rglob("*") if file.is_file()]) == 1
    ((row, _),) = run_task([[cell()]], tmp_path, "cpu")
    assert row["sampling_floor"] > 0  # type: ignore[operator]
    assert len([file for file in tmp_path.rglob("*") if file.is_file()]) == 3


@pytest.mark.parametrize(("name", "sampling"), [
    ("digits", Sampling(n=5, m=7)), ("patches", Sampling(n=5, m=7)), ("patches", Sampling(n=5, mode="population")),
])  # fmt: skip
def test_without_a_known_coupling_there_is_neither_a_closed_form_nor_a_floor(
    name: str, sampling: Sampling, tmp_path: Path
) -> None:
    ((row, _),) = run_task([[Cell(problem(name), sampling, method("zero"), 0, 0)]], tmp_path, "cpu")
    assert [row[name] for name in ("coupled_w1", "coupled_stderr", "sampling_floor", "population_w1")] == [None] * 4
    assert row["primal"] > 0  # type: ignore[operator]


def test_an_infinite_divergence_of_the_laws_is_no_number(tmp_path: Path) -> None:
    for law, finite in ((problem("translation", dim=2, shift=0.5), True), (problem("shared_mass", dim=2), False)):
        ((row, _),) = run_task([[Cell(law, Sampling(n=5), method("zero"), 0, 0)]], tmp_path, "cpu")
        kl = law.population_kl
        assert row["population_kl"] == (kl if finite else None)
        assert (kl is not None and np.isfinite(kl)) == finite
        assert row["population_js"] == law.population_js
        assert row["population_overlap"] == law.population_overlap


def test_the_constants_of_a_row_are_its_critics_and_its_cosine_is_along_the_moves_of_the_exact_plan(
    tmp_path: Path,
) -> None:
    recipe = method("weight_clip", widths=(6, 5), clip=0.3, steps=5)
    made = Cell(problem("shared_mass", dim=3), Sampling(n=12, m=17), recipe, 0, 0)
    ((row, _),) = run_task([[made]], tmp_path, "cpu")
    pair = made.sample()
    critic = train(pair, recipe, seed=0)
    assert row["clip_constant"] == pytest.approx(0.3**3 * np.sqrt(3) * 6 * 5, rel=1e-6)
    norms = [np.linalg.norm(weight, 2) for weight in critic.critic.weights]  # type: ignore[union-attr]
    assert row["spectral_constant"] == pytest.approx(np.prod(norms), rel=1e-6)
    plan, gradients = solve_exact(pair.x, pair.y, pair.a, pair.b).plan, critic.gradients(pair.x)
    assert plan is not None
    assert gradients is not None
    moves = pair.x[plan.rows] - pair.y[plan.cols]
    lengths = np.linalg.norm(moves, axis=1)
    moves, at, mass = moves[lengths > 0], plan.rows[lengths > 0], plan.mass[lengths > 0]
    norms = np.linalg.norm(gradients[at], axis=1) * lengths[lengths > 0]
    cosines = np.divide((gradients[at] * moves).sum(axis=1), norms, out=np.zeros(len(at)), where=norms > 0)
    assert row["plan_cosine"] == pytest.approx(mass @ cosines / mass.sum(), rel=1e-5)
