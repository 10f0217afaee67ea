"""How cells are put together: batches are filled before tasks are cut, and halved where they do not fit or fail."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from small import declare

import otbench.experiment.run.filling as filling
from otbench.errors import InputError
from otbench.experiment.cell import Cell
from otbench.experiment.run.answer import Failure
from otbench.experiment.run.attempt import attempt, device_is_lost
from otbench.experiment.run.filling import Task, halved, make_tasks
from otbench.experiment.run.machine import check_device_is_shown
from otbench.experiment.run.tasks import run_task
from otbench.methods import WeightClip
from otbench.methods.fitting import is_out_of_memory

SHAPES = '{ name = "weight_clip", widths = [[4], [5]], steps = 10, batch = 4, clip = [0.1, 0.2] }'
PROBLEM = '{ name = "shared_mass", dim = [2, 3], overlap = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9] }'


def cells_of(task: Task) -> list[Cell]:
    return [cell for group in task for cell in group]


def batches(task: Task) -> Counter[object]:
    """How many critics of a task share a batch, by their shape and dimension."""
    trained = [cell for cell in cells_of(task) if cell.method.trained]
    return Counter((cell.method.batch_key(), cell.problem.dim) for cell in trained)


@pytest.fixture
def cells(tmp_path: Path) -> list[Cell]:
    """Twenty samples of either dimension, in turn, each with two critics of two shapes and one that is not trained."""
    methods = f'[{{ name = "zero" }}, {SHAPES}]'
    found = list(declare(tmp_path, PROBLEM, method=methods, seeds="[0, 1]").cells)
    random.Random(0).shuffle(found)
    return found


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_cell_is_in_one_task_and_batches_are_filled_whatever_the_order(cells: list[Cell], device: str) -> None:
    made = make_tasks(cells, device)
    assert sorted(cell.key for task in made for cell in cells_of(task)) == sorted(cell.key for cell in cells)
    of_shape = Counter[object]()
    for task in made:
        of_shape.update(batches(task).keys())
    # 40 critics of every shape and dimension: with 16 of a shape in each task of 32, and all 160 in one of 1024
    assert set(of_shape.values()) == ({3} if device == "cpu" else {1})


def test_on_a_gpu_a_batch_is_as_large_as_a_task_and_on_a_cpu_a_sample_is_in_one_task(
    cells: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "CRITICS_PER_GPU_TASK", 20)
    largest = [max(batches(task).values(), default=0) for task in make_tasks(cells, "cuda")]
    assert sorted(largest, reverse=True)[:8] == [20] * 8
    places = [{cell.sample_key for cell in cells_of(task)} for task in make_tasks(cells, "cpu")]
    assert sum(map(len, places)) == len(set().union(*places)) == 40


def test_samples_whose_solver_may_be_stopped_are_solved_once_on_a_gpu_too(tmp_path: Path) -> None:
    found = declare(tmp_path, sampling="{ n = 8, exact_seconds = 1.0 }", method=SHAPES).cells
    assert [len(group) for task in make_tasks(found, "cuda") for group in task] == [4]


def test_a_task_of_one_bad_cell_leaves_it_alone_after_few_steps(cells: list[Cell]) -> None:
    waiting, steps, bad = make_tasks(cells, "cuda"), 0, cells[17]
    (task,) = (task for task in waiting if bad in cells_of(task))
    size, done = len(cells_of(task)), []
    found = [task]
    while len(found) > 1 or bad not in cells_of(found[0]) or halved(found[0]):
        steps += 1
        parts = [part for task in found for part in (halved(task) if bad in cells_of(task) else [task])]
        done += [cell for part in parts if bad not in cells_of(part) for cell in cells_of(part)]
        found = [part for part in parts if bad in cells_of(part)]
    assert len(done) == size - 1
    assert steps <= 2 * size.bit_length()
    assert halved(found[0]) == []


class TightMemory:
    """A device on which so many critics fit and no more, as it tells of the batches it was given."""

    def __init__(self, most: int, error: type[BaseException], said: str) -> None:
        self.most, self.error, self.said, self.given = most, error, said, list[int]()

    def fit(self, methods: Any, jobs: Any, device: str) -> Any:
        self.given.append(len(jobs))
        if len(jobs) > self.most:
            raise self.error(self.said)
        return self.real(methods, jobs, device)

    real = staticmethod(WeightClip.fit)


@pytest.mark.parametrize(
    ("error", "said"), [(RuntimeError, "CUDA out of memory. Tried to allocate 2 GiB"), (MemoryError, "")]
)
def test_a_batch_that_does_not_fit_is_halved_and_its_rows_are_the_same(
    error: type[BaseException], said: str, cells: list[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (task, *_) = make_tasks(cells, "cpu")
    shape = next(cell.method.batch_key() for cell in task[0] if cell.method.trained)
    some = [[cell for cell in group if cell.method.batch_key() == shape] for group in task][:5]
    whole = [row for row, _ in run_task(some, tmp_path, "cpu")]
    tight = TightMemory(3, error, said)
    monkeypatch.setattr(WeightClip, "fit", tight.fit)
    assert [row for row, _ in run_task(some, tmp_path, "cpu")] == whole
    assert tight.given[0] == sum(map(len, some))
    assert max(size for size in tight.given if size <= 3) >= 2


def test_a_critic_that_alone_does_not_fit_fails_and_says_so(
    cells: list[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "CUDA out of memory. Tried to allocate 2 GiB"
    monkeypatch.setattr(WeightClip, "fit", TightMemory(0, RuntimeError, said).fit)
    trained = next(cell for cell in cells if cell.method.trained)
    outcome = attempt([[trained]], tmp_path, "cpu")
    assert isinstance(outcome, Failure)
    assert said in outcome.reason
    assert not outcome.ends_worker


@pytest.mark.parametrize(
    ("said", "lost"),
    [
        ("CUDA error: an illegal memory access was encountered", True),
        ("CUDA error: unspecified launch failure\nCompile with ...", True),
        ("CUDA error: device-side assert triggered", True),
        ("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling cublasSgemm", True),
        ("CUDA error: out of memory", False),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)", False),
        ("CUDA error: invalid argument", False),
        ("CUDA out of memory. Tried to allocate 2 GiB", False),
        ("mat1 and mat2 shapes cannot be multiplied", False),
    ],
)
def test_errors_that_lose_a_device_are_told_from_those_of_one_call(
    said: str, lost: bool, cells: list[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert device_is_lost(RuntimeError(said)) == lost
    monkeypatch.setattr(WeightClip, "fit", TightMemory(0, RuntimeError, said).fit)
    outcome = attempt([[next(cell for cell in cells if cell.method.trained)]], tmp_path, "cpu")
    assert isinstance(outcome, Failure)
    assert outcome.ends_worker == lost
    assert is_out_of_memory(RuntimeError(said)) == ("out of memory" in said or "ALLOC_FAILED" in said)


def test_a_coordinator_looks_for_a_device_without_computing_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch, "zeros", None)
    monkeypatch.setattr(torch.cuda, "init", None)
    for device in ("cpu", "cuda", "cuda:1"):
        check_device_is_shown(device)
    for device, said in (("cuda:2", "2 CUDA devices are shown"), ("gpu", "it is not cpu, cuda or cuda:N")):
        with pytest.raises(InputError, match=f"device '{device}' cannot be used: {said}; use --device cpu"):
            check_device_is_shown(device)
